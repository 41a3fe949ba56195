/** What it is, how it stands, and since when. */
import { conditionOf, idOf, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Tag, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { StandingBadge } from "../../ui/badges";
import { CopyText } from "../../ui/copy";
import { Facts } from "../../ui/facts";
import { Time } from "../../ui/time";
import { wordsOfOrigin } from "../../ui/words";
import { wordsOfEdge } from "./rules";

const useStyles = makeStyles({
  row: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  message: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalS },
});

export function Head({ secret, lookedAt }: { secret: SyncedSecret; lookedAt: number }): ReactNode {
  const styles = useStyles();
  const synced = conditionOf(secret, "Synced");
  const labels = Object.entries(secret.labels);
  return (
    <>
      <Notice secret={secret} />
      <Facts
        facts={[
          [
            "State",
            <span key="state" className={styles.row}>
              <StandingBadge secret={secret} />
              {synced?.lastTransitionTime !== undefined && (
                <span>
                  since <Time value={synced.lastTransitionTime} />
                </span>
              )}
            </span>,
          ],
          ["The edge has", wordsOfEdge(secret)],
          ["Last in sync", secret.syncTime === undefined ? "never" : <Time value={secret.syncTime} />],
          ["Description", secret.description],
          [
            "Labels",
            labels.length > 0 && (
              <span className={styles.row}>
                {labels.map(([name, value]) => (
                  <Tag key={name} size="small" appearance="outline">
                    {value === "" ? name : `${name}=${value}`}
                  </Tag>
                ))}
              </span>
            ),
          ],
          ["Made by", wordsOfOrigin(secret.origin)],
          ["Type of the Secret", secret.secretType === "" ? "Opaque" : secret.secretType],
          ["To name all of it", <CopyText key="paste" text={idOf(secret.name)} />],
          ["Created", secret.createTime && <Time value={secret.createTime} />],
          ["Last change", secret.updateTime && <Time value={secret.updateTime} />],
          ["Looked at", <Time key="looked" value={new Date(lookedAt)} />],
        ]}
      />
    </>
  );
}

/** What somebody has to know before anything else. */
function Notice({ secret }: { secret: SyncedSecret }): ReactNode {
  const styles = useStyles();
  const message = conditionOf(secret, "Synced")?.message ?? "";
  const [intent, title, text] = noticeOf(secret, message);
  return text === "" ? null : (
    <MessageBar intent={intent} layout="multiline" role="status">
      <MessageBarBody className={styles.message}>
        <MessageBarTitle>{title}</MessageBarTitle> {text}
      </MessageBarBody>
    </MessageBar>
  );
}

function noticeOf({ state, origin }: SyncedSecret, message: string): ["info" | "warning" | "error", string, string] {
  if (state === State.DELETING) {
    return ["warning", "It is being deleted.", `It is removed from the edge; the vault keeps its secrets. ${message}`];
  }
  if (origin === Origin.UNMANAGED) {
    return ["info", "Another tool made it.", "It is read-only here until it is adopted. That tool goes on writing it until then."];
  }
  switch (state) {
    case State.DEGRADED:
      return ["warning", "The edge keeps the last values that it got.", message];
    case State.FAILED:
      return ["error", "It has never been at the edge.", message];
    default:
      return ["info", "", ""];
  }
}
