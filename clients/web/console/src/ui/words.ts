/** What the contract's enums are called on the page. */
import { Origin, State, SyncEngine } from "@iotoperations/secret-service-client";
import type { BadgeProps } from "@fluentui/react-components";

/** A state in a word, what it means, and its colour. */
export interface StateWords {
  readonly label: string;
  readonly meaning: string;
  readonly color: NonNullable<BadgeProps["color"]>;
}

const UNKNOWN: StateWords = { label: "Unknown", meaning: "This page is older than the service and doesn't know this state.", color: "subtle" };

const STATES: Partial<Record<State, StateWords>> = {
  [State.PENDING]: { label: "Pending", meaning: "Accepted, but not at the edge yet.", color: "informative" },
  [State.SYNCED]: { label: "Synced", meaning: "The edge has the values of the vault.", color: "success" },
  [State.DEGRADED]: {
    label: "Degraded",
    meaning: "The edge keeps the last values that it got; the latest attempt failed.",
    color: "warning",
  },
  [State.FAILED]: { label: "Failed", meaning: "It has never been at the edge; the latest attempt failed.", color: "danger" },
  [State.DELETING]: { label: "Deleting", meaning: "It is being removed from the edge.", color: "subtle" },
};

export function wordsOfState(state: State): StateWords {
  return STATES[state] ?? UNKNOWN;
}

/** The states, as URLs and filters name them. */
export const STATE_NAMES = {
  pending: State.PENDING,
  synced: State.SYNCED,
  degraded: State.DEGRADED,
  failed: State.FAILED,
  deleting: State.DELETING,
} as const;
export type StateName = keyof typeof STATE_NAMES;

export function wordsOfOrigin(origin: Origin): string {
  return origin === Origin.UNMANAGED ? "Another tool" : "This service";
}

export function wordsOfEngine(engine: SyncEngine): string {
  const names: Partial<Record<SyncEngine, string>> = {
    [SyncEngine.DIRECT]: "direct: this service copies the values",
    [SyncEngine.SECRET_STORE]: "secret-store: Azure's Secret Store extension copies the values",
  };
  return names[engine] ?? "unknown";
}

// Made once: `toLocaleString` makes one at each call, which a table of thousands of rows notices.
const numbers = new Intl.NumberFormat("en");

/** `12,345`. */
export function grouped(number: number): string {
  return numbers.format(number);
}

/** `1 reference`, `3 references`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}
