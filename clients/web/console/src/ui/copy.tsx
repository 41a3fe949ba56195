/** Text to copy. */
import { Button, makeStyles, tokens, Tooltip } from "@fluentui/react-components";
import { CheckmarkRegular, CopyRegular } from "@fluentui/react-icons";
import { useEffect, useState, type ReactNode } from "react";

const SHOWN_MS = 2_000;

const useStyles = makeStyles({
  text: {
    display: "inline-flex",
    alignItems: "center",
    gap: tokens.spacingHorizontalXS,
    maxWidth: "100%",
    "& code": { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere" },
  },
});

/** A button that copies a text; says so when it did. */
export function CopyButton({ text, label = `Copy ${text}` }: { text: string; label?: string }): ReactNode {
  const [copied, setCopied] = useState<boolean | undefined>(undefined);
  useEffect(() => {
    if (copied === undefined) {
      return;
    }
    const timer = setTimeout(() => setCopied(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (): void => {
    void copyText(text).then(setCopied);
  };
  const content = copied === undefined ? label : copied ? "Copied" : "The browser doesn't allow it: select the text and copy it";
  return (
    <Tooltip content={content} relationship="label" {...(copied !== undefined && { visible: true })}>
      <Button appearance="subtle" size="small" icon={copied ? <CheckmarkRegular /> : <CopyRegular />} onClick={copy} />
    </Tooltip>
  );
}

/** Copies, and says whether it did: pages that came over plain http have no clipboard. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A text in the letters of code, and the button that copies it. */
export function CopyText({ text, label }: { text: string; label?: string }): ReactNode {
  return (
    <span className={useStyles().text}>
      <code>{text}</code>
      <CopyButton text={text} {...(label !== undefined && { label })} />
    </span>
  );
}
