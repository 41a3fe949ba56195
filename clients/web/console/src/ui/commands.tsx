/** The button that shows an action as command lines. */
import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { CodeRegular } from "@fluentui/react-icons";
import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { useState, type ReactNode } from "react";

import { commandOf } from "../api/commands";
import { useSessionState } from "../app/signed-in";
import { CopyButton } from "./copy";
import { CloseButton, Dialog } from "./dialog";

const useStyles = makeStyles({
  line: {
    display: "flex",
    alignItems: "flex-start",
    gap: tokens.spacingHorizontalS,
    padding: tokens.spacingHorizontalM,
    marginBlock: tokens.spacingVerticalS,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground3,
  },
  code: {
    flexGrow: 1,
    minWidth: 0,
    margin: 0,
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    whiteSpace: "pre-wrap",
    overflowWrap: "anywhere",
  },
});

interface CommandsButtonProps<I extends DescMessage> {
  readonly method: DescMethod & { readonly input: I };
  readonly request: MessageInitShape<I>;
  /** The words of the CLI: `["secrets", "sync", "edp1secrets"]`. */
  readonly words: readonly string[];
  /** A sentence on what the lines need, such as that the CLI asks for the value. */
  readonly note?: string;
  readonly size?: "small" | "medium";
}

/** Shows what the CLI and grpcurl would do. */
export function CommandsButton<I extends DescMessage>(props: CommandsButtonProps<I>): ReactNode {
  const { method, request, words, note, size = "medium" } = props;
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button appearance="subtle" size={size} icon={<CodeRegular />} onClick={() => setOpen(true)}>
        Show as command
      </Button>
      <Dialog
        open={isOpen}
        onClose={() => setOpen(false)}
        title="The same as a command"
        actions={<CloseButton>Close</CloseButton>}
      >
        <div>
          <Lines method={method} request={request} words={words} />
          {note !== undefined && <Text>{note}</Text>}
        </div>
      </Dialog>
    </>
  );
}

function Lines<I extends DescMessage>({ method, request, words }: Omit<CommandsButtonProps<I>, "note">): ReactNode {
  const { kind } = useSessionState();
  const { cli, grpcurl } = commandOf(method, request, words, { withToken: kind === "token" || kind === "oidc" });
  return (
    <>
      <Line label="Command line" text={cli} />
      <Line label="grpcurl" text={grpcurl} />
    </>
  );
}

function Line({ label, text }: { label: string; text: string }): ReactNode {
  const styles = useStyles();
  return (
    <>
      <Text weight="semibold">{label}</Text>
      <div className={styles.line}>
        <code className={styles.code}>{text}</code>
        <CopyButton text={text} label={`Copy the line of ${label}`} />
      </div>
    </>
  );
}
