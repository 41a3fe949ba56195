/** What has become of it: checked, refused, or created and on its way to the edge; and then what to paste where. */
import { idOf, type SecretPurpose, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Button, makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Spinner, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { isOutcomeUnknown } from "../../api/change";
import { Link, LinkButton } from "../../app/navigation";
import type { DraftReference } from "../../references/draft-reference";
import { CopyText } from "../../ui/copy";
import { Section } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { AtEdge } from "./at-edge";
import type { Creation } from "./creation";
import { pastesOf, wordsOfCheck } from "./form";
import { hasLeft, isBarred, wordsOfLeft, type LeftBehind } from "./left";
import { Step } from "./step";

const useStyles = makeStyles({
  steps: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS, listStyleType: "none", margin: 0, padding: 0 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  pastes: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, margin: 0, padding: 0, listStyleType: "none" },
  paste: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalXXS, overflowWrap: "anywhere" },
  muted: { color: tokens.colorNeutralForeground3 },
  body: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalS },
  buttons: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
});

/** Under the form: what the check or the attempt said. */
export function Attempt({ creation }: { creation: Creation }): ReactNode {
  const styles = useStyles();
  switch (creation.phase) {
    case "checking":
      return <Spinner size="tiny" labelPosition="after" label="Checking everything; nothing is changed…" />;
    case "creating":
      return <Spinner size="tiny" labelPosition="after" label="Storing it in the vault and recording it…" />;
    case "looking":
      return <Spinner size="tiny" labelPosition="after" label="It did not succeed. Looking what of it is there…" />;
    case "checked":
      return (
        <MessageBar intent="success" layout="multiline" role="status">
          <MessageBarBody className={styles.body}>
            <MessageBarTitle>Nothing stands in the way.</MessageBarTitle> {wordsOfCheck(creation.form, creation.answer).join(" ")} Nothing has been
            done yet.
          </MessageBarBody>
        </MessageBar>
      );
    case "refused":
      return (
        <>
          <Problem error={creation.error} title={titleOf(creation)} />
          {creation.left !== undefined && <Left left={creation.left} creation={creation} />}
        </>
      );
    default:
      return null;
  }
}

type Refused = Extract<Creation, { phase: "refused" }>;

/** What is known after a refusal. */
function titleOf({ error, left }: Refused): string {
  if (left === undefined) {
    return isOutcomeUnknown(error) ? "It could not be checked. Nothing was changed." : "The check found a problem. Nothing was changed.";
  }
  if (isOutcomeUnknown(error)) {
    return "It is not known how it ended.";
  }
  return hasLeft(left) ? "It is not finished." : "It was not created.";
}

/** What an attempt left behind, as a look right after it found. */
function Left({ left, creation }: { left: LeftBehind; creation: Refused }): ReactNode {
  const styles = useStyles();
  const { error, form, isOpen } = creation;
  const isRecorded = left.syncedSecret === "there";
  return (
    <MessageBar intent={hasLeft(left) ? "warning" : "info"} layout="multiline">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>What a look found.</MessageBarTitle> {wordsOfLeft(left, form.name).join(" ")}{" "}
        {isOutcomeUnknown(error) && "The service may do the rest yet. "}
        {isBarred(left) && isRecorded
          ? "The same request can't finish it: give the key another reference there, or delete it. "
          : isOpen && "Pressing “Create” again without a change goes on with the same request: nothing is done twice. "}
        {isRecorded && (
          <Link to="/secrets/$id" params={{ id: form.name }}>
            Open {form.name}
          </Link>
        )}
      </MessageBarBody>
    </MessageBar>
  );
}

interface CreatedProps {
  readonly secret: SyncedSecret;
  readonly stored: readonly string[];
  readonly references: readonly Pick<DraftReference, "key" | "slot">[];
  readonly purpose: SecretPurpose | undefined;
  readonly onAgain: () => void;
}

/** Once it is created. */
export function Created({ secret, stored, references, purpose, onAgain }: CreatedProps): ReactNode {
  const styles = useStyles();
  const name = idOf(secret.name);
  return (
    <>
      <Section title="What has been done">
        <ol className={styles.steps} aria-live="polite">
          <Step icon={<CheckmarkCircleRegular className={styles.good} />}>
            {stored.length > 0 ? `Stored in the vault: ${stored.join(", ")}.` : "Every reference was found in the vault."}
          </Step>
          <Step icon={<CheckmarkCircleRegular className={styles.good} />}>The synced secret {name} is recorded.</Step>
          <AtEdge created={secret} />
        </ol>
      </Section>
      <Section title="What to enter in the resource that uses it">
        <ul className={styles.pastes}>
          {pastesOf(name, references, purpose).map(({ text, title, fields }) => (
            <li key={text} className={styles.paste}>
              <Text weight="semibold">{title}</Text>
              <CopyText text={text} />
              {fields.map(({ kind, field }) => (
                <Text key={`${kind}/${field}`} size={200} className={styles.muted}>
                  {kind}: {field}
                </Text>
              ))}
            </li>
          ))}
        </ul>
      </Section>
      <div className={styles.buttons}>
        <LinkButton to="/secrets/$id" params={{ id: name }} appearance="primary">
          Open {name}
        </LinkButton>
        <Button onClick={onAgain}>Create another</Button>
      </div>
    </>
  );
}
