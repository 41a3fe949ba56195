/** What somebody else changed while somebody edits: side by side, and a choice. */
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useQuery } from "@connectrpc/connect-query";
import { Button, makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { wordsOfEvent } from "../../ui/events";
import { Time } from "../../ui/time";
import { differences, draftOf, type Difference } from "./draft";
import { mustDecide, type Edit } from "./edit";

const useStyles = makeStyles({
  body: { whiteSpace: "normal", paddingBlock: tokens.spacingVerticalS, display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS },
  scroller: { overflow: "auto" },
  table: {
    width: "100%",
    borderCollapse: "collapse",
    textAlign: "start",
    "& th, & td": {
      padding: tokens.spacingHorizontalXS,
      textAlign: "start",
      verticalAlign: "top",
      overflowWrap: "anywhere",
      borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    },
  },
  buttons: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
});

interface MeanwhileProps extends Edit {
  /** Whether it may be an own save whose answer was lost. */
  readonly maybeOwn: boolean;
  /** Puts the edit on what is now. */
  readonly onKeep: () => void;
  /** Begins with what is now. */
  readonly onDrop: () => void;
}

export function Meanwhile({ maybeOwn, onKeep, onDrop, ...edit }: MeanwhileProps): ReactNode {
  const styles = useStyles();
  const { read, current, draft } = edit;
  if (read.etag === current.etag) {
    return null;
  }
  const rows = differences(draftOf(read), draftOf(current), draft);
  return (
    <MessageBar intent="warning" layout="multiline" role="alert">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>{titleOf(edit, maybeOwn)}</MessageBarTitle>
        <WhoChanged key={current.etag} name={read.name} />
        {rows.length > 0 && <Rows rows={rows} />}
        <Text>
          {mustDecide(edit)
            ? "What you typed is kept. Decide what shall be so before you save."
            : "Your edit touches nothing of it: both stay when you save."}
        </Text>
        <div className={styles.buttons}>
          <Button onClick={onKeep}>Put my edit on what is now</Button>
          <Button onClick={onDrop}>Drop my edit, begin with what is now</Button>
        </div>
      </MessageBarBody>
    </MessageBar>
  );
}

function titleOf({ read, current }: Edit, maybeOwn: boolean): string {
  if (read.uid !== current.uid) {
    return "It was deleted and made anew meanwhile.";
  }
  return maybeOwn ? "It was changed meanwhile, maybe by what you saved before." : "Somebody changed it meanwhile.";
}

function Rows({ rows }: { rows: readonly Difference[] }): ReactNode {
  const styles = useStyles();
  return (
    <div className={styles.scroller}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">When you began</th>
            <th scope="col">Now</th>
            <th scope="col">Yours</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ what, before, now, yours, collides }) => (
            <tr key={what}>
              <th scope="row">{what}</th>
              <td>{before}</td>
              <td>{now}</td>
              <td>{collides ? <b>{yours} (another one)</b> : yours === before ? "as it was" : yours}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Who it was, if the caller may know. */
function WhoChanged({ name }: { name: string }): ReactNode {
  const { data } = useQuery(
    SecretService.method.listAuditEvents,
    { resource: name, pageSize: 10 },
    { staleTime: 0 },
  );
  const event = data?.auditEvents.find(({ action, outcome }) => /^(Update|Delete|Adopt)SyncedSecret$/.test(action) && outcome === "OK");
  return event === undefined ? null : (
    <Text>
      {event.actor} at <Time value={event.eventTime} />: {wordsOfEvent(event)}. {event.detail}
    </Text>
  );
}
