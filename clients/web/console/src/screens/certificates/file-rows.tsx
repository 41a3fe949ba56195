/** The chosen files of an upload: what each holds, and under which name it comes into the list. */
import { Button, Card, Field, Input, makeStyles, MessageBar, MessageBarBody, Text, tokens } from "@fluentui/react-components";
import { ArrowUploadRegular, DismissRegular } from "@fluentui/react-icons";
import { useRef, useState, type DragEvent, type ReactNode } from "react";

import { CertificateFacts } from "../../ui/certificate-facts";
import { problemOf, vaultSecretOfFile, type ChosenFile } from "./files";
import { EXTENSIONS } from "./names";

const useStyles = makeStyles({
  drop: {
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: tokens.spacingHorizontalM,
    padding: tokens.spacingHorizontalL,
    border: `1px dashed ${tokens.colorNeutralStrokeAccessible}`,
    borderRadius: tokens.borderRadiusMedium,
  },
  over: { outline: `2px solid ${tokens.colorBrandStroke1}` },
  head: { display: "flex", alignItems: "center", justifyContent: "space-between", gap: tokens.spacingHorizontalM },
  name: { overflowWrap: "anywhere", margin: 0 },
  names: { display: "grid", alignItems: "start", gridTemplateColumns: "repeat(auto-fit, minmax(14rem, 1fr))", gap: tokens.spacingHorizontalM },
});

interface PickerProps {
  readonly onFiles: (files: readonly File[]) => void;
  readonly multiple?: boolean;
  /** Whether nothing is taken now. */
  readonly disabled?: boolean;
}

/** Where files are dropped or chosen. */
export function FilePicker({ onFiles, multiple = false, disabled = false }: PickerProps): ReactNode {
  const styles = useStyles();
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    // Dropped all the same: else the browser would leave the page to show it.
    if (!disabled) {
      onFiles([...event.dataTransfer.files].slice(0, multiple ? undefined : 1));
    }
  };
  return (
    <div
      className={over ? `${styles.drop} ${styles.over}` : styles.drop}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(!disabled);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Button icon={<ArrowUploadRegular />} onClick={() => input.current?.click()}>
        {multiple ? "Choose files" : "Choose a file"}
      </Button>
      <Text>or drop {multiple ? "them" : "it"} here: certificates and revocation lists, PEM or DER ({EXTENSIONS.join(", ")})</Text>
      <input
        ref={input}
        type="file"
        hidden
        multiple={multiple}
        accept={[...EXTENSIONS, ".cer"].join(",")}
        aria-label={multiple ? "Certificate files" : "Certificate file"}
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])]);
          // The same file can be chosen again.
          currentTarget.value = "";
        }}
      />
    </div>
  );
}

interface RowsProps {
  readonly list: string;
  readonly files: readonly ChosenFile[];
  /** The keys that the list has. */
  readonly taken: readonly string[];
  readonly onChange: (files: readonly ChosenFile[]) => void;
}

/** The files with their facts, before anything is sent. */
export function FileRows({ list, files, taken, onChange }: RowsProps): ReactNode {
  const styles = useStyles();
  const change = (changed: ChosenFile): void => onChange(files.map((file) => (file.id === changed.id ? changed : file)));
  return files.map((file) => (
    <Card key={file.id} role="group" aria-label={file.fileName}>
      <div className={styles.head}>
        <Text as="h3" weight="semibold" className={styles.name}>
          {file.fileName}
        </Text>
        <Button
          appearance="subtle"
          icon={<DismissRegular />}
          aria-label={`Leave out ${file.fileName}`}
          onClick={() => onChange(files.filter(({ id }) => id !== file.id))}
        />
      </div>
      <FileFacts file={file} />
      {file.error === undefined && (
        <FileNames list={list} file={file} problem={problemOf(file, files, taken)} onChange={change} />
      )}
    </Card>
  ));
}

/** What a file holds, or why it is of no use here. */
export function FileFacts({ file: { error, facts } }: { file: ChosenFile }): ReactNode {
  if (error !== undefined) {
    return (
      <MessageBar intent="error" layout="multiline">
        <MessageBarBody>{error}</MessageBarBody>
      </MessageBar>
    );
  }
  return facts.map((one, index) => <CertificateFacts key={index} facts={one} />);
}

interface NamesProps {
  readonly list: string;
  readonly file: ChosenFile;
  readonly problem: string | undefined;
  readonly onChange: (file: ChosenFile) => void;
}

function FileNames({ list, file, problem, onChange }: NamesProps): ReactNode {
  return (
    <div className={useStyles().names}>
      <Field label="Name in the list" {...(problem !== undefined && { validationMessage: problem })}>
        <Input value={file.key} onChange={(_, { value }) => onChange({ ...file, key: value })} />
      </Field>
      <Field label="Vault secret" hint="Azure Key Vault keeps the file under this name, in hex.">
        <Input value={vaultSecretOfFile(list, file)} onChange={(_, { value }) => onChange({ ...file, vaultSecret: value })} />
      </Field>
    </div>
  );
}
