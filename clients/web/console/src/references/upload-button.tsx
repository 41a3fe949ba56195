/** "Upload files": each file becomes a reference of its own, by button or by drop. */
import { Button, makeStyles, MessageBar, MessageBarBody, tokens } from "@fluentui/react-components";
import { ArrowUploadRegular } from "@fluentui/react-icons";
import { useRef, useState, type ReactNode } from "react";

import type { ChangeReferences } from "./draft-reference";
import { readFiles, referencesOf } from "./file-drafts";

const useStyles = makeStyles({
  over: { outline: `2px dashed ${tokens.colorBrandStroke1}`, outlineOffset: "2px" },
  body: { whiteSpace: "normal", overflowWrap: "anywhere" },
});

interface UploadButtonProps {
  readonly onChange: ChangeReferences;
  readonly prefix?: string | undefined;
}

export function UploadButton({ onChange, prefix = "" }: UploadButtonProps): ReactNode {
  const styles = useStyles();
  const input = useRef<HTMLInputElement>(null);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [over, setOver] = useState(false);
  const take = async (files: FileList | null): Promise<void> => {
    const { read, problems: found } = await readFiles([...(files ?? [])]);
    setProblems(found);
    if (read.length > 0) {
      onChange((before) => [...before, ...referencesOf(read, before, prefix)]);
    }
  };
  return (
    <>
      <Button
        icon={<ArrowUploadRegular />}
        className={over ? styles.over : ""}
        onClick={() => input.current?.click()}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer.files);
        }}
      >
        Upload files, each as a new secret
      </Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files for new secrets"
        onChange={({ currentTarget }) => {
          const files = currentTarget.files;
          void take(files).finally(() => {
            currentTarget.value = "";
          });
        }}
      />
      {problems.length > 0 && (
        <MessageBar intent="error" layout="multiline" role="alert">
          <MessageBarBody className={styles.body}>{problems.join(" ")}</MessageBarBody>
        </MessageBar>
      )}
    </>
  );
}
