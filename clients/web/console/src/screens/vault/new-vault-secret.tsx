/** "Create new", for the vault alone. */
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { NewSecretDialog } from "../../references/new-secret-dialog";
import { optionsOf, type NewSecretDraft } from "../../references/secret-draft";
import { useNotify } from "../../ui/notify";

export function NewVaultSecret({ onClose }: { onClose: () => void }): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const navigate = useNavigate();
  const creating = useChange((draft: NewSecretDraft, requestId) =>
    client.createVaultSecret(draft.vaultSecret, draft.value, { ...optionsOf(draft), requestId }),
  );
  const submit = async (draft: NewSecretDraft): Promise<void> => {
    await creating.mutateAsync(draft);
    notify.done(`The vault has ${draft.vaultSecret}.`, "Nothing syncs it yet.");
    await navigate({ to: "/vault/$id", params: { id: draft.vaultSecret } });
  };
  return (
    <NewSecretDialog
      open
      use="vault-secret"
      onClose={onClose}
      onSubmit={submit}
      onUseExisting={(id) => void navigate({ to: "/vault/$id", params: { id } })}
    />
  );
}
