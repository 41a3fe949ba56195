/** The references of an edit: what stays, what is added, changed and removed. */
import type { Reference } from "@iotoperations/secret-service-client";
import { Badge, Button, makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { isSame, wordsOf, type Draft } from "./draft";

const useStyles = makeStyles({
  title: { margin: 0 },
  group: { display: "flex", flexDirection: "column", alignItems: "flex-start", gap: tokens.spacingVerticalS },
  list: { display: "grid", width: "100%", margin: 0, padding: 0, listStyleType: "none" },
  item: {
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: tokens.spacingHorizontalS,
    paddingBlock: tokens.spacingVerticalXS,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
  },
  words: { flexGrow: 1, flexBasis: "16rem", minWidth: 0, display: "flex", flexDirection: "column", overflowWrap: "anywhere" },
  removed: { textDecorationLine: "line-through" },
});

interface EditedReferencesProps {
  readonly before: Draft;
  readonly draft: Draft;
  readonly onAdd: () => void;
  readonly onChange: (reference: Reference) => void;
  readonly onRemove: (key: string) => void;
  /** Puts back what was read. */
  readonly onUndo: (reference: Reference) => void;
}

export function EditedReferences({ before, draft, onAdd, onChange, onRemove, onUndo }: EditedReferencesProps): ReactNode {
  const styles = useStyles();
  const old = new Map(before.references.map((reference) => [reference.key, reference]));
  const removed = before.references.filter(({ key }) => !draft.references.some((reference) => reference.key === key));
  return (
    <section className={styles.group} aria-label="References">
      <Subtitle2 as="h3" className={styles.title}>References</Subtitle2>
      <ul className={styles.list}>
        {draft.references.map((reference) => {
          const { key } = reference;
          const read = old.get(key);
          const isChanged = read !== undefined && !isSame(read, reference);
          return (
            <li key={key} className={styles.item}>
              <span className={styles.words}>
                <Text weight="semibold">{key}</Text>
                <Text size={200}>{wordsOf(reference)}</Text>
              </span>
              {read === undefined && <Badge appearance="tint">Added</Badge>}
              {isChanged && <Badge appearance="tint">Changed</Badge>}
              {isChanged && (
                <Button size="small" aria-label={`Undo the change of ${key}`} onClick={() => onUndo(read)}>
                  Undo
                </Button>
              )}
              <Button size="small" aria-label={`Change ${key}`} onClick={() => onChange(reference)}>
                Change
              </Button>
              <Button size="small" aria-label={`Remove ${key}`} onClick={() => onRemove(key)}>
                Remove
              </Button>
            </li>
          );
        })}
        {removed.map((reference) => (
          <li key={reference.key} className={styles.item}>
            <span className={styles.words}>
              <Text weight="semibold" className={styles.removed}>
                {reference.key}
              </Text>
              <Text size={200}>{wordsOf(reference)}</Text>
            </span>
            <Badge appearance="tint" color="warning">
              Removed
            </Badge>
            <Button size="small" aria-label={`Keep ${reference.key}`} onClick={() => onUndo(reference)}>
              Keep
            </Button>
          </li>
        ))}
      </ul>
      <Button icon={<AddRegular />} onClick={onAdd}>
        Add reference
      </Button>
    </section>
  );
}
