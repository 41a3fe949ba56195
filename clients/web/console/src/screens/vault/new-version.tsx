/** A new value for a vault secret. */
import type { VaultSecret } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { NewSecretDialog } from "../../references/new-secret-dialog";
import { optionsOf, type NewSecretDraft } from "../../references/secret-draft";
import { useNotify } from "../../ui/notify";

export function NewVersion({ id, secret, onClose }: { id: string; secret: VaultSecret; onClose: () => void }): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const adding = useChange(
    (draft: NewSecretDraft, requestId) => {
      const { keepDates } = draft;
      return client.addVaultSecretVersion(secret.name, draft.value, { ...optionsOf(draft), keepDates, requestId });
    },
    { onDone: () => notify.done(`${id} has a new version.`, "What follows the latest version is synced again.") },
  );
  const submit = async (draft: NewSecretDraft): Promise<void> => {
    await adding.mutateAsync(draft);
  };
  const isMultiline = secret.contentType === "application/x-pem-file";
  return <NewSecretDialog open use="version" vaultSecret={id} multiline={isMultiline} onClose={onClose} onSubmit={submit} />;
}
