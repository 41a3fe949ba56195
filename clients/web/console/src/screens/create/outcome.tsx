/** What has become of it: checked, refused, or created and on its way to the edge; and then what to paste where. */
import { conditionOf, idOf, isSynced, State, type SecretPurpose, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Button, makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Spinner, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import type { ReactElement, ReactNode } from "react";

import { useLiveSecrets } from "../../api/hooks";
import { LinkButton } from "../../app/navigation";
import type { DraftReference } from "../../references/draft-reference";
import { CopyText } from "../../ui/copy";
import { Section } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Time } from "../../ui/time";
import { hasLeft, isOutcomeUnknown, type Creation, type LeftBehind } from "./creation";
import { pastesOf, wordsOfCheck } from "./form";

const useStyles = makeStyles({
  steps: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS, listStyleType: "none", margin: 0, padding: 0 },
  step: { display: "flex", alignItems: "flex-start", gap: tokens.spacingHorizontalS, overflowWrap: "anywhere", "& svg": { fontSize: "20px", flexShrink: 0 } },
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
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
          {creation.left !== undefined && <Left left={creation.left} name={creation.form.name} />}
        </>
      );
    default:
      return null;
  }
}

/** What is known after a refusal. */
function titleOf({ error, left, isOpen }: Extract<Creation, { phase: "refused" }>): string {
  if (left !== undefined) {
    return isOpen ? "It is not finished." : "It was not created.";
  }
  return isOutcomeUnknown(error) ? "It could not be checked. Nothing was changed." : "The check found a problem. Nothing was changed.";
}

/** What an attempt left behind. */
function Left({ left, name }: { left: LeftBehind; name: string }): ReactNode {
  const styles = useStyles();
  if (!hasLeft(left)) {
    return <Text>Nothing of it is there: neither in the vault nor as a synced secret.</Text>;
  }
  const known = (there: boolean | undefined): string[] => [...left.vaultSecrets].filter(([, is]) => is === there).map(([one]) => one);
  const [there, missing, unknown] = [known(true), known(false), known(undefined)];
  return (
    <MessageBar intent="warning" layout="multiline">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>What there is by now.</MessageBarTitle>{" "}
        {there.length > 0 && `In Azure Key Vault: ${there.join(", ")}. `}
        {missing.length > 0 && `Not in Azure Key Vault: ${missing.join(", ")}. `}
        {unknown.length > 0 && `Whether Azure Key Vault has ${unknown.join(", ")} is unknown. `}
        {left.syncedSecret !== undefined && `The synced secret ${name} is recorded. `}
        Pressing “Create” again without a change goes on with the same request: nothing is done twice.
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

function Step({ icon, children }: { icon: ReactElement; children: ReactNode }): ReactNode {
  return (
    <li className={useStyles().step}>
      {icon}
      <span>{children}</span>
    </li>
  );
}

/** Whether the edge has it: as the watch tells, not as anybody hopes. */
function AtEdge({ created }: { created: SyncedSecret }): ReactNode {
  const styles = useStyles();
  const { byName, status, heard } = useLiveSecrets();
  const seen = byName.get(created.name);
  const now = seen?.uid === created.uid && seen.generation >= created.generation ? seen : created;
  if (isSynced(now)) {
    return (
      <Step icon={<CheckmarkCircleRegular className={styles.good} />}>
        At the edge: the Kubernetes Secret has the values. {now.syncTime !== undefined && <>Since <Time value={now.syncTime} />.</>}
      </Step>
    );
  }
  if (now.state === State.FAILED || now.state === State.DEGRADED) {
    return (
      <Step icon={<ErrorCircleRegular className={styles.bad} />}>
        Not at the edge: the attempt failed. {conditionOf(now, "Synced")?.message} The service goes on trying.
      </Step>
    );
  }
  if (status !== "live") {
    return (
      <Step icon={<QuestionCircleRegular />}>
        Whether it is at the edge is unknown: the service was last heard <Time value={new Date(heard)} distance />.
      </Step>
    );
  }
  return <Step icon={<Spinner size="tiny" />}>On its way to the edge…</Step>;
}
