/** An entry leaves its list. */
import { Text } from "@fluentui/react-components";
import { idOf, type SecretUsage } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useState, type ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { useUnreadKinds, useUsages } from "../../api/hooks";
import { Link } from "../../app/navigation";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";
import { UnreadKinds } from "../../ui/unread";
import { ListChanger } from "./changes";
import { unchangeable } from "./lists";
import { meanwhileOf, type EntryProps } from "./meanwhile";
import { wordsOfOutcome } from "./outcome";

export function RemoveDialog({ entry, now, onClose }: EntryProps): ReactNode {
  const { list, reference } = entry;
  const { secret } = now ?? entry;
  const { key } = reference;
  const client = useClient();
  const notify = useNotify();
  const [changer] = useState(() => new ListChanger(client));
  const removing = useChange((_: undefined, requestId) => changer.remove(list.id, reference, requestId), {
    onDone: (result) => notify.done(`${key} was removed from ${list.id}.`, `${wordsOfOutcome(result)} The vault keeps ${idOf(reference.vaultSecret)}.`),
    after: onClose,
  });
  const meanwhile = meanwhileOf(removing, reference, now);
  const isLast = secret.references.length === 1;
  const problem = meanwhile ?? (isLast ? "It is the last entry: delete the list instead." : unchangeable(secret));
  return (
    <Dialog
      onClose={onClose}
      busy={removing.isPending}
      title={`Remove ${key} from ${list.id}?`}
      actions={
        <>
          <CommandsButton
            method={SecretService.method.updateSyncedSecret}
            request={{ syncedSecret: { name: secret.name }, removeKeys: [key] }}
            words={["secrets", "certificates", "remove", list.id, key]}
          />
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="UpdateSyncedSecret"
            resource={secret.name}
            pending={removing.isPending && "It is being removed."}
            unless={problem}
            onClick={() => removing.mutate(undefined)}
          >
            Remove
          </ActionButton>
        </>
      }
    >
      <Text>
        What uses the list no longer finds this entry. The vault keeps its secret {idOf(reference.vaultSecret)}, so it can be added
        again.
      </Text>
      <UsersOfList id={list.id} />
      {meanwhile !== undefined && <Text role="alert">{meanwhile}</Text>}
      {isLast && (
        <Text>
          A list has at least one entry. Delete the whole list on <Link to="/secrets/$id" params={{ id: list.id }}>its page</Link>.
        </Text>
      )}
      {removing.error !== null && <Problem error={removing.error} />}
    </Dialog>
  );
}

/** What uses a list; or that it is not known. */
export function UsersOfList({ id }: { id: string }): ReactNode {
  const { data, error } = useUsages();
  const unread = useUnreadKinds();
  if (data === undefined) {
    return <Text>{error === null ? "What uses it is being looked up…" : `What uses it is not known: ${error.message}`}</Text>;
  }
  const usages = data.filter(({ syncedSecret }) => idOf(syncedSecret) === id);
  return (
    <>
      <Text>
        {usages.length > 0
          ? `It is used by ${usages.map(wordsOfUsage).join(", ")}.`
          : unread.length === 0 && error === null
            ? "No resource uses the list."
            : "No resource is known to use the list."}
      </Text>
      {error !== null && <Text>What uses it by now is not known: {error.message}</Text>}
      <UnreadKinds />
    </>
  );
}

function wordsOfUsage({ kind, resource, field }: SecretUsage): string {
  return `${kind} ${resource} (${field})`;
}
