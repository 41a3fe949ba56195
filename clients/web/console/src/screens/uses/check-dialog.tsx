/** Checks a manifest before it is applied. It may hold values: once it is checked, nothing on the page has it. */
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { Button, Field, makeStyles, mergeClasses, Spinner, Text, Textarea, tokens } from "@fluentui/react-components";
import { useRef, useState, type DragEvent, type ReactNode } from "react";

import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/problem";
import { CheckedResources } from "./checked";
import { mayPass, useCheck } from "./use-check";

/** As much as the service takes. */
const MOST_BYTES = 262_144;
const TOO_LARGE = "The service checks at most 256 KiB at once. Check a part of it.";

const useStyles = makeStyles({
  manifest: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, "&[hidden]": { display: "none" } },
  drop: { border: `2px dashed transparent`, borderRadius: tokens.borderRadiusMedium },
  over: { borderTopColor: tokens.colorBrandStroke1, borderRightColor: tokens.colorBrandStroke1, borderBottomColor: tokens.colorBrandStroke1, borderLeftColor: tokens.colorBrandStroke1 },
  text: { "& textarea": { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, height: "16rem", maxHeight: "40vh" } },
  file: { display: "none" },
  line: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS, alignItems: "center" },
});

export function CheckDialog({ onClose }: { onClose: () => void }): ReactNode {
  const styles = useStyles();
  const { state, check, again, reset } = useCheck();
  return (
    <Dialog
      onClose={onClose}
      stays
      width="56rem"
      title="Check a manifest"
      actions={
        <>
          <CommandsButton
            method={SecretService.method.checkResource}
            request={{ manifest: "THE-MANIFEST" }}
            words={["secrets", "check-resource", "-f", "manifest.yaml"]}
          />
          {state.step === "checking" && <Button onClick={reset}>Stop</Button>}
          {state.step === "checked" && <Button onClick={reset}>Check another</Button>}
          <CloseButton appearance={state.step === "checked" ? "primary" : "secondary"}>Close</CloseButton>
        </>
      }
    >
      {state.step === "checking" && <Spinner label="The service looks at what it names…" />}
      {state.step === "failed" && (
        <Problem error={state.error} title="It could not be checked." {...(mayPass(state.error) && { onRetry: again })} />
      )}
      {/* What was typed stays until it is checked: whoever made a typing error corrects it, and doesn't begin anew. */}
      {state.step !== "checked" && (
        <div hidden={state.step === "checking"} className={styles.manifest}>
          <Manifest onCheck={check} />
        </div>
      )}
      {state.step === "checked" && <CheckedResources resources={state.resources} looked={state.looked} />}
    </Dialog>
  );
}

/** Typed, pasted, dropped or chosen; a file is checked without being shown. */
function Manifest({ onCheck }: { onCheck: (manifest: string) => void }): ReactNode {
  const styles = useStyles();
  const text = useRef<HTMLTextAreaElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<string>();
  const send = (manifest: string): void => {
    if (manifest.trim() === "") {
      setRefused("Paste a manifest, or choose a file.");
    } else if (new TextEncoder().encode(manifest).length > MOST_BYTES) {
      setRefused(TOO_LARGE);
    } else {
      onCheck(manifest);
    }
  };
  const read = (chosen: File | undefined): void => {
    if (chosen === undefined) {
      return;
    }
    if (chosen.size > MOST_BYTES) {
      setRefused(TOO_LARGE);
      return;
    }
    chosen.text().then(send, () => setRefused("The browser can't read this file."));
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    read(event.dataTransfer.files[0]);
  };
  return (
    <>
      <Text>
        Which secrets and keys the resources name, and what is missing, expired or not in sync. Nothing is applied, and nothing is kept.
      </Text>
      <div
        className={mergeClasses(styles.drop, over && styles.over)}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Field
          label="Manifest: YAML, also of several documents, or JSON"
          hint="Or drop a file here."
          {...(refused !== undefined && { validationMessage: refused, validationState: "error" as const })}
        >
          <Textarea className={styles.text} textarea={{ ref: text, spellCheck: false, autoComplete: "off" }} />
        </Field>
      </div>
      <div className={styles.line}>
        <Button appearance="primary" onClick={() => send(text.current?.value ?? "")}>
          Check
        </Button>
        <Button onClick={() => file.current?.click()}>Choose a file</Button>
        <input
          ref={file}
          className={styles.file}
          type="file"
          accept=".yaml,.yml,.json"
          aria-label="File with a manifest"
          onChange={({ target }) => {
            read(target.files?.[0]);
            target.value = "";
          }}
        />
      </div>
    </>
  );
}
