/** How far a deletion is, and what may be said of it. */
import { idOf } from "@iotoperations/secret-service-client";

import { messageOf } from "../ui/problem";
import { count, grouped } from "../ui/words";

/** How far the deletion of one is. */
export type Progress =
  /** Nobody was asked for it yet. */
  | { readonly step: "waiting" }
  /** Nobody was asked for it, and nobody will be. */
  | { readonly step: "stopped" }
  /** The service was asked, and there is no answer yet. */
  | { readonly step: "asked" }
  /** The service does it. `held`: what it waits for, if anything. `unseen`: why the last look at it failed. */
  | { readonly step: "leaving"; readonly held: string; readonly unseen?: unknown }
  /** The service says that it is no more. */
  | { readonly step: "gone" }
  /** The service said no. */
  | { readonly step: "refused"; readonly error: unknown }
  /** There was no answer that says whether the service does it. `isThere`: a look since then found it as it was. */
  | { readonly step: "unknown"; readonly error: unknown; readonly isThere?: boolean };

export type Steps = ReadonlyMap<string, Progress>;

/** How many are at each step. */
export function tally(steps: Steps): Readonly<Record<Progress["step"], number>> {
  const counts = { waiting: 0, stopped: 0, asked: 0, leaving: 0, gone: 0, refused: 0, unknown: 0 };
  for (const { step } of steps.values()) {
    counts[step]++;
  }
  return counts;
}

/** Whether answers are waited for, or others are still to be asked for. */
export function isRunning(steps: Steps): boolean {
  const { waiting, asked } = tally(steps);
  return waiting + asked > 0;
}

/** What the service has deleted or will delete. */
export function acceptedOf(steps: Steps): string[] {
  return namesAt(steps, "gone", "leaving");
}

/** What can be asked for once more. */
export function againOf(steps: Steps): string[] {
  return namesAt(steps, "refused", "unknown", "stopped");
}

function namesAt(steps: Steps, ...wanted: Progress["step"][]): string[] {
  return [...steps].flatMap(([name, { step }]) => (wanted.includes(step) ? [name] : []));
}

/** All of it in one line: `2 deleted, 1 being deleted, 3 not deleted`. */
export function wordsOfTally(steps: Steps): string {
  const { gone, leaving, refused, unknown, asked, waiting, stopped } = tally(steps);
  const parts: readonly (readonly [number, string])[] = [
    [gone, "deleted"],
    [leaving, "being deleted"],
    [refused, "not deleted"],
    [unknown, "not known"],
    [asked, "asked for"],
    [waiting, "waiting"],
    [stopped, "not asked for"],
  ];
  return parts.flatMap(([number, words]) => (number > 0 ? [`${grouped(number)} ${words}`] : [])).join(", ");
}

/** What a toast says. */
export interface Told {
  readonly title: string;
  readonly body: string;
  /** Whether it must not go away by itself. */
  readonly isBad: boolean;
}

const KEPT = "From the edge only: the vault keeps all that it has.";

/**
 * What is told once nobody looks any more; nothing where there is no news. `wasSeen`: the list was shown to its end, so that
 * refusals are none.
 */
export function toldOf(steps: Steps, wasSeen: boolean): Told | undefined {
  const { gone, leaving, refused, unknown } = tally(steps);
  if (gone + leaving + unknown + (wasSeen ? 0 : refused) === 0) {
    return undefined;
  }
  const errors = [...steps.values()].flatMap((one) => ("error" in one ? [messageOf(one.error)] : []));
  const isBad = unknown > 0 || (!wasSeen && refused > 0);
  return { title: titleOf(steps), body: (isBad ? errors[0] : undefined) ?? KEPT, isBad };
}

function titleOf(steps: Steps): string {
  const { gone, leaving } = tally(steps);
  const [[name, { step }]] = [...steps] as [[string, Progress]];
  if (steps.size === 1) {
    const id = idOf(name);
    return step === "unknown" ? `Whether ${id} is deleted is not known` : `${id} is ${WORDS[step]}`;
  }
  const all = count(steps.size, "synced secret");
  if (gone === steps.size) {
    return `${all} are deleted`;
  }
  return leaving === steps.size ? `${all} are being deleted` : `Of ${all}: ${wordsOfTally(steps)}`;
}

const WORDS: Readonly<Record<Exclude<Progress["step"], "unknown">, string>> = {
  gone: "deleted",
  leaving: "being deleted",
  refused: "not deleted",
  asked: "not deleted yet",
  waiting: "not deleted",
  stopped: "not deleted",
};
