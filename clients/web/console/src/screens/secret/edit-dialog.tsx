/** Edits a synced secret: its references, labels and description. */
import { idOf, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
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
import { draftOf, isEmpty, linesOf, withoutKey, withReference } from "./draft";
import { EditCommands } from "./edit-commands";
import { EditedReferences } from "./edited-references";
import { LabelFields } from "./label-fields";
import { Meanwhile } from "./meanwhile";
import { ReferenceDialog } from "./reference-dialog";
import { useEdit, type Begin } from "./use-edit";

const useStyles = makeStyles({
  title: { margin: 0 },
  content: { gap: tokens.spacingVerticalL, overflowWrap: "anywhere", "& > *": { flexShrink: 0 } },
  // Only what it has counts: it is no box of its own.
  fields: { display: "contents" },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
  group: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS },
});

interface EditDialogProps extends Begin {
  /** As the service has it now; it goes on changing while somebody edits. */
  readonly current: SyncedSecret;
  /** Whether somebody deleted it meanwhile. */
  readonly isGone: boolean;
  readonly onClose: () => void;
}

export function EditDialog({ current, isGone, onClose, ...begin }: EditDialogProps): ReactNode {
  const styles = useStyles();
  const [editing, setEditing] = useState<{ reference?: Reference }>();
  const edit = useEdit(current, isGone, begin);
  const { read, draft, rows, labelProblem, put, putRows, wanted, why, isOpen, update, onlyCheck, step } = edit;
  const before = draftOf(wanted.base);
  const isPending = update.isPending || onlyCheck.isPending;
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
          <EditCommands base={wanted.base} changes={wanted.changes} />
          <CloseButton>Cancel</CloseButton>
          <ActionButton unless={isOpen ? "It may be done already: save again." : why} onClick={() => onlyCheck.mutate(wanted)}>
            Check
          </ActionButton>
          <ActionButton appearance="primary" method="UpdateSyncedSecret" resource={read.name} unless={why} onClick={() => update.mutate(wanted)}>
            {isOpen ? "Save again" : "Save"}
          </ActionButton>
        </>
      }
    >
      {isGone && (
        <MessageBar intent="warning" layout="multiline" role="alert">
          <MessageBarBody>It was deleted meanwhile, so nothing can be saved. What you typed stays here until you close this.</MessageBarBody>
        </MessageBar>
      )}
      {/* While a save is being made or may be made, what changes may be its own doing. */}
      {!isPending && !isOpen && <Meanwhile read={read} current={current} draft={draft} maybeOwn={edit.isLost} onKeep={edit.keep} onDrop={edit.drop} />}
      <Text>What is done applies to all references: the edge gets all keys in one write, or keeps what it has.</Text>
      {/* What is typed while it is being saved would be lost with the dialog. */}
      <fieldset className={styles.fields} disabled={update.isPending} aria-label="What can be edited">
        <EditedReferences
          before={draftOf(read)}
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
      </fieldset>
      {!isEmpty(wanted.changes) && (
        <section aria-label="What will be done" className={styles.group}>
          <Subtitle2 as="h3" className={styles.title}>What will be done</Subtitle2>
          <ul className={styles.list}>
            {linesOf(before, wanted.changes).map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </section>
      )}
      {isPending && <Spinner size="tiny" label={step === "checking" || onlyCheck.isPending ? "Checking it with the vault and the cluster…" : "Changing it…"} />}
      {!isPending && edit.isChecked && error === null && <Text role="status">The service checked it: it can be done. Nothing is changed yet.</Text>}
      {!isPending && error !== null && <Problem error={error} {...(isOpen && { title: "Whether it was saved is not known." })} />}
      {!isPending && isOpen && <Text role="status">Save again: it is the same request, and the service carries it out once.</Text>}
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
