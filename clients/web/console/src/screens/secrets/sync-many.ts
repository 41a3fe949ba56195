/** Syncs several, a few at a time; each has an outcome of its own. */
import { conditionOf, isSynced, State, type SyncedSecret } from "@iotoperations/secret-service-client";

import { isNobodyThere, isOutcomeUnknown } from "../../api/change";
import { grouped } from "../../ui/words";

/** How one is doing. */
export type Outcome =
  | { readonly kind: "waiting" | "running" | "synced" | "stopped" }
  /** Asked for, but not at the edge yet; the service goes on. */
  | { readonly kind: "pending" }
  | { readonly kind: "failed"; readonly message: string }
  /** There was no answer: the service may have synced it. */
  | { readonly kind: "unknown"; readonly message: string };

export type Outcomes = ReadonlyMap<string, Outcome>;

/** Calls that are under way at once: the vault's limits are shared by all of the instance. */
export const AT_MOST = 4;

interface Options {
  readonly names: readonly string[];
  readonly sync: (name: string) => Promise<SyncedSecret>;
  readonly onChange: (outcomes: Outcomes) => void;
  /** Aborted, nothing more is begun; what is under way is waited for. So it is where nobody answers. */
  readonly signal: AbortSignal;
}

export async function syncMany({ names, sync, onChange, signal }: Options): Promise<Outcomes> {
  const outcomes = new Map<string, Outcome>(names.map((name) => [name, { kind: "waiting" }]));
  const set = (name: string, outcome: Outcome): void => {
    outcomes.set(name, outcome);
    onChange(new Map(outcomes));
  };
  const waiting = [...names];
  let isOver = false;
  onChange(new Map(outcomes));
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      if (signal.aborted || isOver) {
        set(name, { kind: "stopped" });
        continue;
      }
      set(name, { kind: "running" });
      const failed = (error: unknown): Outcome => {
        isOver ||= isNobodyThere(error);
        return failureOf(error);
      };
      set(name, await sync(name).then(outcomeOf, failed));
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_MOST, names.length) }, work));
  return outcomes;
}

/** What the service's answer means: an answer alone is no success. */
export function outcomeOf(secret: SyncedSecret): Outcome {
  if (isSynced(secret)) {
    return { kind: "synced" };
  }
  if (secret.state === State.DEGRADED || secret.state === State.FAILED) {
    return { kind: "failed", message: conditionOf(secret, "Synced")?.message ?? "The service does not say why." };
  }
  return { kind: "pending" };
}

function failureOf(error: unknown): Outcome {
  return { kind: isOutcomeUnknown(error) ? "unknown" : "failed", message: error instanceof Error ? error.message : String(error) };
}

/** How many have come to each outcome. */
export function tally(outcomes: Outcomes): Readonly<Record<Outcome["kind"], number>> {
  const counts = { waiting: 0, running: 0, synced: 0, pending: 0, failed: 0, unknown: 0, stopped: 0 };
  for (const { kind } of outcomes.values()) {
    counts[kind]++;
  }
  return counts;
}

/** How many have come to each outcome, in words: all of them together are all that were chosen. */
export function sumsOf(outcomes: Outcomes): string {
  const { synced, failed, unknown, pending, running, waiting, stopped } = tally(outcomes);
  const parts = [
    [failed, "failed"],
    [unknown, "not known"],
    [pending, "not at the edge yet"],
    [running, "being synced"],
    [waiting, "waiting"],
    [stopped, "not asked for"],
  ] as const;
  const others = parts.flatMap(([number, words]) => (number === 0 ? [] : [`${grouped(number)} ${words}`]));
  return `${[`${grouped(synced)} in sync`, ...others].join(", ")}.`;
}
