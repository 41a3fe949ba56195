/** Edits a synced secret: its references, labels and description. */
import { idOf, newId, type Reference, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import {
  Field,
  makeStyles,
  MessageBar,
  MessageBarBody,
  Spinner,
  Subtitle2,
  Text,
  Textarea,
  tokens,
} from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

import { ActionButton } from "../../ui/action";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/problem";
import { changesOf, draftOf, isEmpty, labelsOf, linesOf, rowsOf, withoutKey, withReference, type Draft } from "./draft";
import { EditCommands } from "./edit-commands";
import { EditedReferences } from "./edited-references";
import type { Followed } from "./follow";
import { LabelFields } from "./label-fields";
import { Meanwhile, mustDecide } from "./meanwhile";
import { ReferenceDialog } from "./reference-dialog";
import { useUpdate } from "./use-update";

const useStyles = makeStyles({
  title: { margin: 0 },
  content: { gap: tokens.spacingVerticalL, overflowWrap: "anywhere", "& > *": { flexShrink: 0 } },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
  group: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS },
});

interface EditDialogProps {
  /** As the service has it now; it goes on changing while somebody edits. */
  readonly current: SyncedSecret;
  /** Whether somebody deleted it meanwhile. */
  readonly isGone: boolean;
  /** With which edit it begins. */
  readonly seed: (draft: Draft) => Draft;
  readonly onClose: () => void;
  readonly onAccepted: (followed: Followed) => void;
}

export function EditDialog({ current, isGone, seed, onClose, onAccepted }: EditDialogProps): ReactNode {
  const styles = useStyles();
  const { read, before, draft, rows, labelProblem, revision, put, putRows, rebase } = useDraft(current, seed);
  const [editing, setEditing] = useState<{ reference?: Reference }>();
  const { update, onlyCheck, step, checkedRevision } = useUpdate(({ generation }) => onAccepted({ what: "The change", generation }));
  const changes = changesOf(before, draft);
  const isPending = update.isPending || onlyCheck.isPending;
  const why = whyNotSave(isGone, current, isEmpty(changes), labelProblem, mustDecide({ read, current, draft }), isPending);
  const wanted = { read, changes, revision };
  const error = update.error ?? onlyCheck.error;
  const id = idOf(read.name);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={update.isPending}
      width="52rem"
      title={`Edit ${id}`}
      className={styles.content}
      actions={
        <>
          <EditCommands read={read} before={before} changes={changes} />
          <CloseButton>Cancel</CloseButton>
          <ActionButton unless={why} onClick={() => onlyCheck.mutate(wanted)}>
            Check
          </ActionButton>
          <ActionButton appearance="primary" method="UpdateSyncedSecret" resource={read.name} unless={why} onClick={() => update.mutate(wanted)}>
            Save
          </ActionButton>
        </>
      }
    >
      {isGone && (
        <MessageBar intent="warning" layout="multiline" role="alert">
          <MessageBarBody>It was deleted meanwhile, so nothing can be saved. What you typed stays here until you close this.</MessageBarBody>
        </MessageBar>
      )}
      <Meanwhile read={read} current={current} draft={draft} onDecide={rebase} />
      <Text>What is done applies to all references: the edge gets all keys in one write, or keeps what it has.</Text>
      <EditedReferences
        before={before}
        draft={draft}
        onAdd={() => setEditing({})}
        onChange={(reference) => setEditing({ reference })}
        onRemove={(key) => put(withoutKey(draft, key))}
        onUndo={(reference) => put(withReference(draft, reference))}
      />
      <LabelFields rows={rows} problem={labelProblem} onChange={putRows} />
      <Field label="Description" hint="For people">
        <Textarea value={draft.description} onChange={(_, { value }) => put({ ...draft, description: value })} resize="vertical" />
      </Field>
      {!isEmpty(changes) && (
        <section aria-label="What will be done" className={styles.group}>
          <Subtitle2 as="h3" className={styles.title}>What will be done</Subtitle2>
          <ul className={styles.list}>
            {linesOf(before, changes).map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </section>
      )}
      {isPending && <Spinner size="tiny" label={step === "checking" || onlyCheck.isPending ? "Checking it with the vault and the cluster…" : "Changing it…"} />}
      {!isPending && checkedRevision === revision && error === null && <Text role="status">The service checked it: it can be done. Nothing is changed yet.</Text>}
      {!isPending && error !== null && <Problem error={error} />}
      {editing !== undefined && (
        <ReferenceDialog
          id={id}
          reference={editing.reference}
          takenKeys={draft.references.map(({ key }) => key)}
          onClose={() => setEditing(undefined)}
          onSubmit={(reference) => {
            put(withReference(draft, reference));
            setEditing(undefined);
          }}
        />
      )}
    </Dialog>
  );
}

/** What was read, what is wanted, and a number for each content. */
function useDraft(current: SyncedSecret, seed: (draft: Draft) => Draft) {
  const [read, setRead] = useState(current);
  const [held, setHeld] = useState(() => seed(draftOf(current)));
  const [rows, setRows] = useState(() => rowsOf(held.labels));
  const [count, setCount] = useState(0);
  // Two openings are two requests, even with the same content.
  const [opening] = useState(() => newId());
  const { labels, problem } = labelsOf(rows);
  const put = (draft: Draft): void => {
    setHeld(draft);
    setCount((before) => before + 1);
  };
  return {
    read,
    before: draftOf(read),
    draft: { ...held, labels },
    rows,
    labelProblem: problem,
    revision: `${opening} ${read.etag} ${String(count)}`,
    put,
    putRows: (changed: typeof rows): void => {
      setRows(changed);
      setCount((before) => before + 1);
    },
    rebase: (draft: Draft): void => {
      setRead(current);
      setRows(rowsOf(draft.labels));
      put(draft);
    },
  };
}

function whyNotSave(
  isGone: boolean,
  current: SyncedSecret,
  changesNothing: boolean,
  labelProblem: string | undefined,
  isUndecided: boolean,
  isPending: boolean,
): string | undefined {
  if (isPending) {
    return "It is being done.";
  }
  if (isGone || current.state === State.DELETING) {
    return isGone ? "It was deleted meanwhile." : "It is being deleted.";
  }
  if (isUndecided) {
    return "Somebody changed it meanwhile: decide above what shall be so.";
  }
  return labelProblem ?? (changesNothing ? "Nothing is changed." : undefined);
}
