/** How far each deletion is. */
import { idOf } from "@iotoperations/secret-service-client";
import { makeStyles, Spinner, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { messageOf, Problem } from "../ui/problem";
import { count } from "../ui/words";
import { wordsOfTally, type Progress, type Steps } from "./deletion-steps";

/** More than anybody reads; the line above tells of the others. */
const LISTED = 100;

const useStyles = makeStyles({
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL, display: "grid", gap: tokens.spacingVerticalS },
});

/** What asks for somebody first. */
const ORDER: readonly Progress["step"][] = ["unknown", "refused", "asked", "leaving", "waiting", "stopped", "gone"];

export function DeleteSteps({ steps }: { steps: Steps }): ReactNode {
  const styles = useStyles();
  const ordered = ORDER.flatMap((wanted) => [...steps].filter(([, { step }]) => step === wanted));
  const rest = ordered.length - LISTED;
  return (
    <>
      {steps.size > 1 && <Text role="status">{wordsOfTally(steps)}.</Text>}
      <ul className={styles.list} aria-label="How far it is" {...(steps.size === 1 && { "aria-live": "polite" })}>
        {ordered.slice(0, LISTED).map(([name, progress]) => (
          <li key={name}>
            <Text weight="semibold">{idOf(name)}</Text>
            <Step {...progress} />
          </li>
        ))}
        {rest > 0 && <li>{count(rest, "more")}</li>}
      </ul>
    </>
  );
}

function Step(progress: Progress): ReactNode {
  switch (progress.step) {
    case "waiting":
      return <Text> waits for its turn.</Text>;
    case "stopped":
      return <Text> was not asked for.</Text>;
    case "asked":
      return <Spinner size="tiny" label="Asking the service…" />;
    case "leaving":
      return <Leaving {...progress} />;
    case "gone":
      return <Text> is deleted.</Text>;
    case "refused":
      return <Problem error={progress.error} title={`It stays. ${titleIfStale(progress.error)}`} />;
    case "unknown":
      return (
        <>
          <Problem error={progress.error} title="Whether it is deleted is not known." />
          {progress.isThere === true && (
            <Text size={200}>It is still there, and the service may delete it yet. “Try again” sends the same request.</Text>
          )}
        </>
      );
  }
}

function Leaving({ held, unseen }: Extract<Progress, { step: "leaving" }>): ReactNode {
  if (unseen !== undefined) {
    return <Text> will be deleted: the service has accepted it. How far it is can't be seen: {messageOf(unseen)}</Text>;
  }
  return (
    <>
      <Spinner size="tiny" label="The service removes it from the edge; it goes on when this is closed." />
      {held !== "" && <Text size={200}>{held}</Text>}
    </>
  );
}

/** What to do where somebody else was first. */
function titleIfStale(error: unknown): string {
  return error instanceof Error && error.name === "StaleError" ? "Close this and look at what it is now." : "";
}
