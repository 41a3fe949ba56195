/** "Create new", for the vault alone. */
import { idOf } from "@iotoperations/secret-service-client";
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
  const creating = useChange(
    (draft: NewSecretDraft, requestId) => client.createVaultSecret(draft.vaultSecret, draft.value, { ...optionsOf(draft), requestId }),
    {
      onDone: ({ syncedSecrets }, { vaultSecret }) =>
        notify.done(
          `The vault has ${vaultSecret}.`,
          syncedSecrets.length === 0 ? "Nothing syncs it yet." : `It is waited for: ${syncedSecrets.map(idOf).join(", ")}.`,
        ),
      after: (_, { vaultSecret }) => void navigate({ to: "/vault/$id", params: { id: vaultSecret } }),
    },
  );
  const submit = async (draft: NewSecretDraft): Promise<void> => {
    await creating.mutateAsync(draft);
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
