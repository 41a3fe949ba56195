/** The field that a secret's value is typed, pasted, dropped or uploaded into. The value is in nothing but this element and what it tells. */
import { SecretData, SecretValue } from "@iotoperations/secret-service-client";
import { Button, Field, makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import { ArrowUploadRegular, DismissRegular, EyeOffRegular, EyeRegular } from "@fluentui/react-icons";
import { useCallback, useImperativeHandle, useLayoutEffect, useRef, useState, type DragEvent, type KeyboardEvent, type ReactNode, type Ref } from "react";

import { kindOf, kindOfText, textOf, wordsOfKind, type FileKind } from "./file-kind";
import { LARGEST_VALUE, oddityOf, sizeOf } from "./size";

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

/** What whoever shows the field can do with it. */
export interface ValueFieldHandle {
  /** Forgets the value: once it has been sent, or is not wanted any more. */
  readonly clear: () => void;
  readonly focus: () => void;
}

interface ValueFieldProps {
  readonly label: string;
  /** Told at every change: the value, nothing where there is none or it is too large, and a number that is another each time. */
  readonly onChange: (value: SecretValue | SecretData | undefined, revision: number, source?: FileSource) => void;
  /** Whether it begins with several lines, as for a certificate. */
  readonly multiline?: boolean;
  readonly required?: boolean;
  readonly hint?: string;
  /** What else is wrong with it, such as what the service said. */
  readonly problem?: string | undefined;
  readonly ref?: Ref<ValueFieldHandle>;
}

/** Where a value came from, for proposals. */
export interface FileSource {
  readonly fileName: string;
  readonly kind: FileKind;
}

/** What may be known of the value that is there, without it. */
interface About {
  readonly size: number;
  readonly stored: number;
  readonly kind: FileKind;
  readonly fileName?: string;
  readonly oddity?: string | undefined;
}

const LARGEST_FILE = 1_048_576;

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
              {about === undefined ? "Nothing yet" : wordsOfAbout(about)}
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
            {about !== undefined && (
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

/** The value in the element, and what is told of it. */
function useValue({ onChange, ref }: ValueFieldProps) {
  const text = useRef<HTMLTextAreaElement>(null);
  const revision = useRef(0);
  const [about, setAbout] = useState<About>();
  const [error, setError] = useState<string>();
  const tell = useRef(onChange);
  useLayoutEffect(() => {
    tell.current = onChange;
  });

  const put = useCallback((value: SecretValue | SecretData | undefined, kind: FileKind, fileName?: string) => {
    revision.current++;
    setError(undefined);
    if (value === undefined) {
      setAbout(undefined);
      tell.current(undefined, revision.current);
      return;
    }
    const size = sizeOf(value);
    const oddity = value instanceof SecretValue ? oddityOf(value.reveal()) : undefined;
    setAbout({ ...size, kind, oddity, ...(fileName !== undefined && { fileName }) });
    const fits = size.stored <= LARGEST_VALUE;
    tell.current(fits ? value : undefined, revision.current, ...(fileName === undefined ? [] : [{ fileName, kind }]));
  }, []);

  const clear = useCallback(() => {
    if (text.current !== null) {
      text.current.value = "";
    }
    put(undefined, "text");
  }, [put]);

  const typed = useCallback(() => {
    const value = text.current?.value ?? "";
    if (value === "") {
      put(undefined, "text");
    } else if (value.isWellFormed()) {
      put(new SecretValue(value), kindOfText(value));
    } else {
      put(undefined, "text");
      setError("It holds half a character, which can't be stored.");
    }
  }, [put]);

  const take = useCallback(
    async (file: File) => {
      clear();
      if (file.size === 0 || file.size > LARGEST_FILE) {
        setError(file.size === 0 ? `${file.name} is empty.` : `${file.name} is larger than the vault takes: ${LARGEST_VALUE.toLocaleString("en")} bytes.`);
        return;
      }
      try {
        const bytes = new Uint8Array(await file.arrayBuffer());
        const plain = textOf(bytes);
        // The element would make one kind of line break of all: the file's own text is what counts.
        put(plain === undefined ? new SecretData(bytes) : new SecretValue(plain), kindOf(bytes), file.name);
        if (text.current !== null) {
          text.current.value = plain ?? "";
        }
        bytes.fill(0);
      } catch {
        setError(`${file.name} can't be read.`);
      }
    },
    [clear, put],
  );

  useImperativeHandle(ref, () => ({ clear, focus: () => text.current?.focus() }), [clear]);
  return { text, about, error, take, typed, clear };
}

function isText(kind: FileKind): boolean {
  return kind === "text" || kind.startsWith("pem");
}

function wordsOfAbout({ size, kind, fileName }: About): string {
  const what = kind === "text" && fileName === undefined ? "" : ` · ${wordsOfKind(kind)}`;
  return `${fileName === undefined ? "" : `${fileName} · `}${size.toLocaleString("en")} ${size === 1 ? "byte" : "bytes"}${what}`;
}

function wordsOfTooLarge({ size, stored }: About): string {
  const most = LARGEST_VALUE.toLocaleString("en");
  const kept = stored === size ? "" : `, ${stored.toLocaleString("en")} as the vault keeps bytes (hex)`;
  return `The vault takes at most ${most} bytes; this has ${size.toLocaleString("en")}${kept}.`;
}
