/** All that is known of an entry. */
import { Button, MessageBar, MessageBarBody, MessageBarTitle } from "@fluentui/react-components";
import { idOf } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { Link } from "../../app/navigation";
import { CopyText } from "../../ui/copy";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Facts } from "../../ui/facts";
import { Time } from "../../ui/time";
import { CertificateFacts } from "../../ui/certificate-facts";
import { wordsOfKind } from "./list-field";
import type { EntryAction } from "./columns";
import type { Entry } from "./lists";
import { UsersOfList } from "./remove";

interface DetailsProps {
  readonly entry: Entry;
  readonly onAction: (action: EntryAction) => void;
  readonly onClose: () => void;
}

export function DetailsDialog({ entry, onAction, onClose }: DetailsProps): ReactNode {
  const { reference } = entry;
  const { certificate, problem, syncedVersion } = reference;
  const more = factsOfReference(entry);
  return (
    <Dialog
      onClose={onClose}
      width="46rem"
      title={reference.key}
      actions={
        <>
          <Button onClick={() => onAction("replace")}>Replace…</Button>
          <Button onClick={() => onAction("remove")}>Remove…</Button>
          <CloseButton appearance="primary">Close</CloseButton>
        </>
      }
    >
      {problem && (
        <MessageBar intent="warning" layout="multiline">
          <MessageBarBody>
            <MessageBarTitle>Not in sync.</MessageBarTitle> {problem.message}
          </MessageBarBody>
        </MessageBar>
      )}
      {certificate === undefined ? (
        <>
          <Unread isAtEdge={syncedVersion !== ""} />
          <Facts facts={more} />
        </>
      ) : (
        <CertificateFacts facts={certificate} more={more} />
      )}
      <UsersOfList id={entry.list.id} />
    </Dialog>
  );
}

function factsOfReference({ list, reference }: Entry): readonly (readonly [string, ReactNode])[] {
  const { version, syncedVersion, vaultSecret, expireTime } = reference;
  return [
    [wordsOfKind(list.kind), <Link key="list" to="/secrets/$id" params={{ id: list.id }}>{list.id}</Link>],
    ["Vault secret", <Link key="vault" to="/vault/$id" params={{ id: idOf(vaultSecret) }}>{idOf(vaultSecret)}</Link>],
    ["Version at the edge", syncedVersion === "" ? "None yet" : <CopyText text={syncedVersion} label="Copy the version" />],
    ["Follows", version === "" ? "The latest version" : `The version ${version} alone`],
    ["Version expires", expireTime && <Time value={expireTime} />],
  ];
}

/** Why nothing is told of a certificate. */
function Unread({ isAtEdge }: { isAtEdge: boolean }): ReactNode {
  return (
    <MessageBar intent="info" layout="multiline">
      <MessageBarBody>
        {isAtEdge
          ? "The service has read no certificate and no revocation list here: either the value is none, or it doesn’t read what the Secret Store extension syncs (secret_store.read_certificates)."
          : "Nothing is at the edge yet, so nothing was read."}
      </MessageBarBody>
    </MessageBar>
  );
}
