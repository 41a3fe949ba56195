/** The field that a secret's value is typed, pasted, dropped or uploaded into. The value is in nothing but this element and what it tells. */
import { Button, Field, makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { ArrowUploadRegular, DismissRegular, EyeOffRegular, EyeRegular } from "@fluentui/react-icons";
import { useRef, useState, type DragEvent, type KeyboardEvent, type ReactNode } from "react";

import { wordsOfKind, type FileKind } from "./file-kind";
import { LARGEST_VALUE } from "./size";
import { useValue, type About, type ValueOwner } from "./use-value";
import { grouped } from "../ui/words";

const useStyles = makeStyles({
  box: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalXS,
    padding: tokens.spacingHorizontalXS,
    border: `1px solid ${tokens.colorNeutralStrokeAccessible}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    ":focus-within": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  over: { outline: `2px dashed ${tokens.colorBrandStroke1}`, outlineOffset: "2px" },
  text: {
    boxSizing: "border-box",
    width: "100%",
    padding: tokens.spacingHorizontalS,
    border: "none",
    outlineStyle: "none",
    resize: "vertical",
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase300,
    color: tokens.colorNeutralForeground1,
    backgroundColor: "transparent",
    overflowWrap: "anywhere",
  },
  // A field of the type "password" has one line, and has browsers offer to keep what is in it.
  covered: { WebkitTextSecurity: "disc" },
  absent: { display: "none" },
  bar: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  about: { flexGrow: 1, minWidth: 0, color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
});

interface ValueFieldProps extends ValueOwner {
  readonly label: string;
  /** Whether it begins with several lines, as for a certificate. */
  readonly multiline?: boolean;
  readonly required?: boolean;
  readonly hint?: string;
  /** What else is wrong with it, such as what the service said. */
  readonly problem?: string | undefined;
}

export function ValueField(props: ValueFieldProps): ReactNode {
  const { label, multiline = false, required = false, hint, problem } = props;
  const styles = useStyles();
  const { text, about, error, take, typed, clear } = useValue(props);
  const [shown, setShown] = useState(false);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const tooLarge = about !== undefined && about.stored > LARGEST_VALUE;
  const message = error ?? (tooLarge ? wordsOfTooLarge(about) : problem);
  const isBytes = about?.fileName !== undefined && !isText(about.kind);
  const drop = (event: DragEvent): void => {
    const file = event.dataTransfer.files.item(0);
    setOver(false);
    if (file !== null) {
      event.preventDefault();
      void take(file);
    }
  };
  const keyDown = (event: KeyboardEvent): void => {
    // A line break that nobody sees would become part of a password.
    if (!multiline && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      text.current?.form?.requestSubmit();
    }
  };
  return (
    <Field
      label={label}
      required={required}
      {...(hint !== undefined && { hint })}
      {...(message !== undefined
        ? { validationMessage: message, validationState: "error" as const }
        : about?.oddity !== undefined && { validationMessage: about.oddity, validationState: "warning" as const })}
    >
      {(field) => (
        <div
          className={mergeClasses(styles.box, over && styles.over)}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={drop}
        >
          <textarea
            {...field}
            ref={text}
            rows={multiline ? 6 : 1}
            className={mergeClasses(styles.text, !shown && styles.covered, isBytes && styles.absent)}
            readOnly={about?.fileName !== undefined}
            placeholder="Type, paste or drop a file"
            autoComplete="off"
            autoCapitalize="off"
            autoCorrect="off"
            spellCheck={false}
            data-1p-ignore="true"
            data-lpignore="true"
            data-bwignore="true"
            onInput={typed}
            onKeyDown={keyDown}
          />
          <div className={styles.bar}>
            <Text size={200} className={styles.about} aria-live="polite">
              {about === undefined ? (error === undefined ? "Nothing yet" : "Nothing that can be taken") : wordsOfAbout(about)}
            </Text>
            {!isBytes && (
              <Button
                size="small"
                appearance="subtle"
                icon={shown ? <EyeOffRegular /> : <EyeRegular />}
                aria-pressed={shown}
                onClick={() => setShown((before) => !before)}
              >
                {shown ? "Hide" : "Show"}
              </Button>
            )}
            {(about !== undefined || error !== undefined) && (
              <Button size="small" appearance="subtle" icon={<DismissRegular />} onClick={clear}>
                Clear
              </Button>
            )}
            <Button size="small" appearance="subtle" icon={<ArrowUploadRegular />} onClick={() => input.current?.click()}>
              Upload
            </Button>
            <input
              ref={input}
              type="file"
              hidden
              aria-label={`File for ${label}`}
              onChange={({ currentTarget }) => {
                const file = currentTarget.files?.item(0);
                // The same file can be chosen again.
                currentTarget.value = "";
                if (file) {
                  void take(file);
                }
              }}
            />
          </div>
        </div>
      )}
    </Field>
  );
}

function isText(kind: FileKind): boolean {
  return kind === "text" || kind.startsWith("pem");
}

function wordsOfAbout({ size, kind, fileName }: About): string {
  const what = kind === "text" && fileName === undefined ? "" : ` · ${wordsOfKind(kind)}`;
  return `${fileName === undefined ? "" : `${fileName} · `}${grouped(size)} ${size === 1 ? "byte" : "bytes"}${what}`;
}

function wordsOfTooLarge({ size, stored }: About): string {
  const most = grouped(LARGEST_VALUE);
  const kept = stored === size ? "" : `, ${grouped(stored)} as the vault keeps bytes (hex)`;
  return `The vault takes at most ${most} bytes; this has ${grouped(size)}${kept}.`;
}
