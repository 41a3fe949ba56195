/** What the synced secret is for: found by title, description or the kinds of resources that use it. */
import type { SecretPurpose } from "@iotoperations/secret-service-client";
import { Combobox, Field, makeStyles, Option, Text, tokens } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

const useStyles = makeStyles({
  field: { width: "min(36rem, 100%)" },
  option: { display: "flex", flexDirection: "column", minWidth: 0 },
  about: { color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
});

const ANYTHING = "anything-else";
const ANYTHING_TITLE = "Anything else";
const ANYTHING_ABOUT = "A Kubernetes Secret with keys of any name.";

interface PurposeFieldProps {
  readonly purposes: readonly SecretPurpose[];
  /** The id; empty for anything else, nothing as long as none is chosen. */
  readonly value: string | undefined;
  readonly onChange: (purpose: string) => void;
  readonly checked: boolean;
}

export function PurposeField({ purposes, value, onChange, checked }: PurposeFieldProps): ReactNode {
  const styles = useStyles();
  const chosen = purposes.find(({ id }) => id === value);
  const title = value === undefined ? "" : (chosen?.title ?? ANYTHING_TITLE);
  const [typed, setTyped] = useState<string>();
  const found = foundPurposes(purposes, typed ?? "");
  const kinds = [...new Set(chosen?.fields.map(({ kind }) => kind))];
  return (
    <>
      <Field
        className={styles.field}
        label="What is it for?"
        required
        {...(checked && value === undefined && { validationMessage: "Choose what it is for." })}
      >
        <Combobox
          placeholder="Search: Kafka, Device, trust list…"
          value={typed ?? title}
          selectedOptions={value === undefined ? [] : [value === "" ? ANYTHING : value]}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          onOpenChange={(_, { open }) => !open && setTyped(undefined)}
          onOptionSelect={(_, { optionValue }) => {
            setTyped(undefined);
            if (optionValue !== undefined) {
              onChange(optionValue === ANYTHING ? "" : optionValue);
            }
          }}
        >
          {found.map(({ id, title: name, description }) => (
            <Option key={id} value={id} text={name}>
              <span className={styles.option}>
                <span>{name}</span>
                <Text size={200} className={styles.about}>
                  {description}
                </Text>
              </span>
            </Option>
          ))}
          <Option value={ANYTHING} text={ANYTHING_TITLE}>
            <span className={styles.option}>
              <span>{ANYTHING_TITLE}</span>
              <Text size={200} className={styles.about}>
                {ANYTHING_ABOUT}
              </Text>
            </span>
          </Option>
        </Combobox>
      </Field>
      {value !== undefined && (
        <Text className={styles.about}>
          {chosen?.description ?? ANYTHING_ABOUT}
          {kinds.length > 0 && ` Used by: ${kinds.join(", ")}.`}
        </Text>
      )}
    </>
  );
}

/** The purposes with all the words in them. */
export function foundPurposes(purposes: readonly SecretPurpose[], search: string): SecretPurpose[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return purposes.filter(({ id, title, description, fields }) => {
    const text = [id, title, description, ...fields.map(({ kind }) => kind)].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
