/** A deleted secret comes back, by its name: the vault doesn't list what is deleted. */
import { Field, Input, Text } from "@fluentui/react-components";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { problemOfVaultSecretName } from "../../references/names";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";

/** Brings a secret back; what refers to it is then synced again. `after`: where that was asked for, if that is still there. */
export function useRecovery(after: (id: string) => void) {
  const client = useClient();
  const notify = useNotify();
  return useChange(
    async ({ revision: id }: { revision: string }, requestId) => {
      await client.recoverVaultSecret(`vaultSecrets/${id}`, { requestId });
      return id;
    },
    {
      onDone: (id) => notify.done(`${id} is back, with all its versions.`, "What refers to it is synced again."),
      after,
    },
  );
}

export function RecoverDialog({ onClose }: { onClose: () => void }): ReactNode {
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const recovering = useRecovery((id) => {
    onClose();
    void navigate({ to: "/vault/$id", params: { id } });
  });
  const problem = name === "" ? undefined : problemOfVaultSecretName(name);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={recovering.isPending}
      title="Recover a deleted secret"
      onSubmit={() => {
        if (name !== "" && problem === undefined && !recovering.isPending) {
          recovering.mutate({ revision: name });
        }
      }}
      actions={
        <>
          {name !== "" && problem === undefined && <RecoverCommands id={name} />}
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            type="submit"
            method="RecoverVaultSecret"
            resource={problem === undefined && name !== "" ? `vaultSecrets/${name}` : ""}
            pending={recovering.isPending && "It is being recovered."}
            unless={name === "" ? "Give its name." : problem}
          >
            Recover
          </ActionButton>
        </>
      }
    >
      <Text>
        A deleted secret comes back with all its versions, as long as the vault has not purged it. The vault doesn’t list deleted
        secrets here: give its name.
      </Text>
      <Field label="Secret name" required {...(problem !== undefined && { validationMessage: problem })}>
        <Input value={name} autoComplete="off" spellCheck={false} onChange={(_, { value }) => setName(value.trim())} />
      </Field>
      {recovering.error !== null && <Problem error={recovering.error} />}
    </Dialog>
  );
}

/** The same as lines. */
export function RecoverCommands({ id }: { id: string }): ReactNode {
  return (
    <CommandsButton
      method={SecretService.method.recoverVaultSecret}
      request={{ name: `vaultSecrets/${id}` }}
      words={["vault", "recover", id]}
    />
  );
}
