/** The references of a synced secret while they are put together: the keys that a purpose asks for, and others. */
import { Button, Caption1, Card, Field, Input, makeStyles, MessageBar, MessageBarBody, Text, tokens } from "@fluentui/react-components";
import { DeleteRegular, EditRegular } from "@fluentui/react-icons";
import { useState, type ReactNode } from "react";

import { AddReferenceMenu } from "./add-reference";
import { hasLines, keyFor, newDraft, vaultSecretOf, type ChangeReferences, type DraftReference, type Slot, type Source } from "./draft-reference";
import { UploadButton } from "./upload-button";
import { problemOfKey, proposedVaultSecretName } from "./names";
import { NewSecretDialog } from "./new-secret-dialog";
import { SourceText } from "./source-text";
import { VaultPickerDialog } from "./vault-picker";

const useStyles = makeStyles({
  list: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, listStyleType: "none", margin: 0, padding: 0 },
  card: { gap: tokens.spacingVerticalS, padding: tokens.spacingHorizontalL },
  head: { display: "flex", flexWrap: "wrap", alignItems: "baseline", gap: tokens.spacingHorizontalS },
  body: { display: "flex", flexWrap: "wrap", alignItems: "flex-start", justifyContent: "space-between", gap: tokens.spacingHorizontalM },
  key: { width: "min(20rem, 100%)" },
  muted: { color: tokens.colorNeutralForeground3 },
  buttons: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
  title: { margin: 0 },
  code: { fontFamily: tokens.fontFamilyMonospace },
});

/** What is wrong with a reference, as the service says. */
export interface ReferenceProblem {
  readonly key?: string;
  readonly source?: string;
}

export interface ReferenceListProps {
  readonly slots: readonly Slot[];
  /** Whether there may be keys beside the slots. */
  readonly anyKeys: boolean;
  readonly references: readonly DraftReference[];
  readonly onChange: ChangeReferences;
  /** By the id of the reference. */
  readonly problems?: ReadonlyMap<string, ReferenceProblem>;
  /** With what the names of new vault secrets begin: the synced secret's name, where it has one. */
  readonly prefix?: string;
  /** Whether to say what is missing. */
  readonly checked?: boolean;
}

/** What a dialog is open for: a slot, any key, or a reference that is there. */
interface Open {
  readonly dialog: Source["kind"];
  readonly slot?: Slot | undefined;
  readonly reference?: DraftReference | undefined;
  readonly search?: string;
}

export function ReferenceList(props: ReferenceListProps): ReactNode {
  const { slots, anyKeys, references, problems, checked = false } = props;
  const styles = useStyles();
  const [open, setOpen] = useState<Open>();
  const others = references.filter((reference) => slots.every(({ key }) => key !== reference.slot));
  const change = (reference: DraftReference): void => setOpen({ dialog: reference.source.kind, reference, slot: slots.find(({ key }) => key === reference.slot) });
  const put = (reference: DraftReference): void =>
    props.onChange((before) => before.map((one) => (one.id === reference.id ? reference : one)));
  const remove = (reference: DraftReference): void => props.onChange((before) => before.filter(({ id }) => id !== reference.id));
  const row = (reference: DraftReference, slot?: Slot): ReactNode => (
    <ReferenceRow
      reference={reference}
      slot={slot}
      others={references.filter(({ id }) => id !== reference.id).map(({ key }) => key)}
      problem={problems?.get(reference.id)}
      onPut={put}
      onChange={() => change(reference)}
      onRemove={() => remove(reference)}
    />
  );
  return (
    <>
      <ul className={styles.list}>
        {slots.map((slot) => {
          const reference = references.find((one) => one.slot === slot.key);
          return (
            <li key={slot.key}>
              {reference === undefined ? (
                <EmptySlot slot={slot} checked={checked} onAdd={(dialog) => setOpen({ dialog, slot })} />
              ) : (
                row(reference, slot)
              )}
            </li>
          );
        })}
        {others.map((reference) => (
          <li key={reference.id}>{row(reference)}</li>
        ))}
      </ul>
      {anyKeys && (
        <div className={styles.buttons}>
          <AddReferenceMenu onAdd={(dialog) => setOpen({ dialog })} label={references.length === 0 ? "Add reference" : "Add another reference"} />
          <UploadButton onChange={props.onChange} prefix={props.prefix} />
        </div>
      )}
      {open !== undefined && <OpenDialog {...props} open={open} onOpen={setOpen} />}
    </>
  );
}

/** The dialog that is open, and what becomes of what it hands over. */
function OpenDialog(props: ReferenceListProps & { open: Open; onOpen: (open: Open | undefined) => void }): ReactNode {
  const { references, onChange, open, onOpen, prefix = "" } = props;
  const { dialog, slot, reference } = open;
  const put = (sources: readonly Source[]): void => {
    const [first] = sources;
    if (reference !== undefined && first !== undefined) {
      onChange((before) => before.map((one) => (one.id === reference.id ? { ...one, source: first } : one)));
      return;
    }
    onChange((before) => {
      const all = [...before];
      for (const source of sources) {
        const key = slot?.key ?? keyFor(source, all.map((one) => one.key));
        all.push(newDraft(key, source, slot?.key));
      }
      return all;
    });
  };
  const about = slot?.title ?? reference?.key;
  const close = (): void => onOpen(undefined);
  if (dialog === "existing") {
    const pick = reference?.source.kind === "existing" ? reference.source.pick : undefined;
    return (
      <VaultPickerDialog
        open
        onClose={close}
        multiple={slot === undefined && reference === undefined}
        {...(about !== undefined && { title: about })}
        {...(pick !== undefined && { initial: pick })}
        {...(open.search !== undefined && { search: open.search })}
        onPick={(picks) => put(picks.map((one) => ({ kind: "existing", pick: one })))}
      />
    );
  }
  const draft = reference?.source.kind === "new" ? reference.source.draft : undefined;
  const taken = references.flatMap(({ source, id }) => (source.kind === "new" && id !== reference?.id ? [source.draft.vaultSecret] : []));
  return (
    <NewSecretDialog
      open
      use="reference"
      onClose={close}
      {...(about !== undefined && { title: about })}
      {...(draft !== undefined && { initial: draft })}
      proposedName={slot === undefined || prefix === "" ? "" : proposedVaultSecretName(prefix, slot.key)}
      multiline={slot === undefined ? true : hasLines(slot.key, slot.title)}
      takenNames={taken}
      onSubmit={(one) => put([{ kind: "new", draft: one }])}
      onUseExisting={(search) => onOpen({ ...open, dialog: "existing", search })}
    />
  );
}

function EmptySlot({ slot, checked, onAdd }: { slot: Slot; checked: boolean; onAdd: (dialog: Source["kind"]) => void }): ReactNode {
  const styles = useStyles();
  return (
    <Card className={styles.card}>
      <Head slot={slot} />
      {checked && slot.required && (
        <MessageBar intent="error">
          <MessageBarBody>Add a reference: the purpose needs this key.</MessageBarBody>
        </MessageBar>
      )}
      <div>
        <AddReferenceMenu label="Add reference" about={slot.title} onAdd={onAdd} />
      </div>
    </Card>
  );
}

function Head({ slot }: { slot: Slot }): ReactNode {
  const styles = useStyles();
  return (
    <div className={styles.head}>
      <Text as="h3" weight="semibold" className={styles.title}>
        {slot.title}
      </Text>
      <Caption1 className={styles.muted}>
        {slot.required ? "Required" : "Optional"}
        {slot.freeName ? ", its key can have any name" : ", its key is "}
        {!slot.freeName && <code className={styles.code}>{slot.key}</code>}
      </Caption1>
    </div>
  );
}

interface ReferenceRowProps {
  readonly reference: DraftReference;
  readonly slot: Slot | undefined;
  readonly others: readonly string[];
  readonly problem: ReferenceProblem | undefined;
  readonly onPut: (reference: DraftReference) => void;
  readonly onChange: () => void;
  readonly onRemove: () => void;
}

function ReferenceRow({ reference, slot, others, problem, onPut, onChange, onRemove }: ReferenceRowProps): ReactNode {
  const styles = useStyles();
  const isFixed = slot !== undefined && !slot.freeName;
  const wrong = problem?.key ?? problemOfKey(reference.key, others);
  const name = slot?.title ?? reference.key;
  return (
    <Card className={styles.card}>
      {slot !== undefined && <Head slot={slot} />}
      <div className={styles.body}>
        <SourceText source={reference.source} />
        <div className={styles.buttons}>
          <Button size="small" icon={<EditRegular />} aria-label={`Change ${name}`} onClick={onChange}>
            Change
          </Button>
          <Button size="small" icon={<DeleteRegular />} aria-label={`Remove ${name}`} onClick={onRemove}>
            Remove
          </Button>
        </div>
      </div>
      {!isFixed && (
        <Field
          className={styles.key}
          label={slot === undefined ? `Key for ${vaultSecretOf(reference.source)}` : `Key for ${slot.title}`}
          {...(wrong !== undefined && { validationMessage: wrong })}
        >
          <Input
            value={reference.key}
            autoComplete="off"
            spellCheck={false}
            onChange={(_, { value }) => onPut({ ...reference, key: value.trim() })}
          />
        </Field>
      )}
      {isFixed && problem?.key !== undefined && <Wrong text={problem.key} />}
      {problem?.source !== undefined && <Wrong text={problem.source} />}
    </Card>
  );
}

function Wrong({ text }: { text: string }): ReactNode {
  return (
    <MessageBar intent="error" layout="multiline">
      <MessageBarBody>{text}</MessageBarBody>
    </MessageBar>
  );
}

