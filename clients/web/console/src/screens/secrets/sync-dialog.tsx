/** Syncs what was selected, and tells of each how it ended. */
import { idOf, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Button, makeStyles, MessageBar, MessageBarBody, ProgressBar, Text, tokens } from "@fluentui/react-components";
import { ArrowSyncRegular, CheckmarkCircleRegular, ClockRegular, ErrorCircleRegular, QuestionCircleRegular, SubtractCircleRegular } from "@fluentui/react-icons";
import { useEffect, useRef, useState, type ReactElement, type ReactNode } from "react";

import { useClient } from "../../api/connection";
import { useLookAgain } from "../../api/hooks";
import { Dialog } from "../../ui/dialog";
import { count } from "../../ui/words";
import { sumsOf, syncMany, tally, type Outcome, type Outcomes } from "./sync-many";

/** How long the service may take for one before its outcome counts as open. */
const WAIT_MS = 20_000;
/** More than anybody reads; the counts tell of the others. */
const LISTED = 100;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0, display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS },
  item: { display: "flex", gap: tokens.spacingHorizontalS, overflowWrap: "anywhere", "& svg": { flexShrink: 0, fontSize: "20px" } },
  message: { color: tokens.colorNeutralForeground2 },
});

interface SyncDialogProps {
  readonly sync: SyncRun;
  /** How many were selected, but can't be synced. */
  readonly skipped: number;
}

/** Shown while there are outcomes. */
export function SyncDialog({ sync, skipped }: SyncDialogProps): ReactNode {
  const { outcomes, running, run, stop, close } = sync;
  const { synced, pending, failed, unknown, waiting, stopped } = tally(outcomes);
  const ended = synced + pending + failed + unknown + stopped;
  const again = namesOf(outcomes, "failed", "unknown", "stopped");
  return (
    <Dialog
      onClose={close}
      busy={running}
      title={`Sync ${count(outcomes.size, "synced secret")} now`}
      actions={
        <>
          {!running && again.length > 0 && <Button onClick={() => run(again)}>Try {again.length === 1 ? "it" : "them"} again</Button>}
          {/* One button, which keeps the focus when its work changes. */}
          <Button
            appearance={running ? "secondary" : "primary"}
            disabledFocusable={running && waiting === 0}
            onClick={running ? stop : close}
          >
            {running ? "Stop" : "Close"}
          </Button>
        </>
      }
    >
      <ProgressBar value={outcomes.size === 0 ? 1 : ended / outcomes.size} aria-label="Progress" color={failed + unknown > 0 ? "warning" : "brand"} />
      <Text role="status">{sumsOf(outcomes)}</Text>
      {skipped > 0 && (
        <MessageBar>
          <MessageBarBody>
            {count(skipped, "other one is", "other ones are")} left out: made by another tool, or being deleted.
          </MessageBarBody>
        </MessageBar>
      )}
      <List outcomes={outcomes} />
    </Dialog>
  );
}

const WORDS: Readonly<Record<Outcome["kind"], readonly [ReactElement, string]>> = {
  failed: [<ErrorCircleRegular key="icon" color={tokens.colorStatusDangerForeground1} />, "Failed"],
  unknown: [<QuestionCircleRegular key="icon" />, "Whether it was synced is not known"],
  pending: [<ClockRegular key="icon" />, "Asked for, but not at the edge yet; the service goes on"],
  running: [<ArrowSyncRegular key="icon" />, "Being synced"],
  waiting: [<ClockRegular key="icon" />, "Waiting"],
  stopped: [<SubtractCircleRegular key="icon" />, "Not asked for"],
  synced: [<CheckmarkCircleRegular key="icon" color={tokens.colorStatusSuccessForeground1} />, "In sync"],
};

/** What failed first. */
function List({ outcomes }: { outcomes: Outcomes }): ReactNode {
  const styles = useStyles();
  const kinds = Object.keys(WORDS) as Outcome["kind"][];
  const ordered = kinds.flatMap((kind) => [...outcomes].filter(([, outcome]) => outcome.kind === kind));
  const rest = ordered.length - LISTED;
  return (
    <ul className={styles.list}>
      {ordered.slice(0, LISTED).map(([name, outcome]) => (
        <li key={name} className={styles.item}>
          {WORDS[outcome.kind][0]}
          <span>
            <strong>{idOf(name)}</strong>{" "}
            <span className={styles.message}>
              {WORDS[outcome.kind][1]}
              {"message" in outcome && `: ${outcome.message}`}
            </span>
          </span>
        </li>
      ))}
      {rest > 0 && <li>{count(rest, "more")}</li>}
    </ul>
  );
}

/** A sync of several: none yet, under way, or over. */
export interface SyncRun {
  readonly outcomes: Outcomes;
  readonly running: boolean;
  readonly run: (names: readonly string[]) => void;
  readonly stop: () => void;
  /** Forgets the outcomes. */
  readonly close: () => void;
}

const NONE: Outcomes = new Map();

export function useSyncMany(): SyncRun {
  const client = useClient();
  const lookAgain = useLookAgain();
  const [outcomes, setOutcomes] = useState(NONE);
  const [running, setRunning] = useState(false);
  const stopping = useRef(new AbortController());
  useEffect(() => () => stopping.current.abort(), []);
  const begin = async (names: readonly string[]): Promise<void> => {
    const { signal } = (stopping.current = new AbortController());
    const sync = (name: string): Promise<SyncedSecret> => client.syncSyncedSecret(name, { waitMs: WAIT_MS });
    setRunning(true);
    await syncMany({ names, sync, signal, onChange: (changed) => setOutcomes((before) => new Map([...before, ...changed])) });
    setRunning(false);
    await lookAgain();
  };
  return {
    outcomes,
    running,
    run: (names) => void begin(names),
    stop: () => stopping.current.abort(),
    close: () => setOutcomes(NONE),
  };
}

function namesOf(outcomes: Outcomes, ...kinds: Outcome["kind"][]): readonly string[] {
  return [...outcomes].flatMap(([name, { kind }]) => (kinds.includes(kind) ? [name] : []));
}
