/** Which rows are shown: the filters that stand in the address. */
import { Origin, State } from "@iotoperations/secret-service-client";

import type { SecretsSearch } from "../../app/search";
import { endsOf, isDue, isStale, isUncompared } from "../../ui/standing";
import { STATE_NAMES, type StateName } from "../../ui/words";
import type { SecretRow, User } from "./rows";

/** What stands in the address for "nothing uses it". */
export const NOTHING = "-";

/** What is shown, and of what would be shown without a filter by state how many are in each. */
export interface Filtered {
  readonly rows: readonly SecretRow[];
  readonly states: Readonly<Record<StateName, number>>;
}

/** Every filter must match; of a search, every word. */
export function filtered(rows: readonly SecretRow[], search: SecretsSearch, now: number): Filtered {
  const matches = matcherOf(search, now);
  const wanted = search.state && new Set<State>(search.state.map((name) => STATE_NAMES[name]));
  const shown: SecretRow[] = [];
  const counts = new Map<State, number>();
  for (const row of rows) {
    if (!matches(row)) {
      continue;
    }
    const { state } = row.secret;
    counts.set(state, (counts.get(state) ?? 0) + 1);
    if (wanted === undefined || wanted.has(state)) {
      shown.push(row);
    }
  }
  const states = Object.fromEntries(Object.entries(STATE_NAMES).map(([name, state]) => [name, counts.get(state) ?? 0]));
  return { rows: shown, states: states as Record<StateName, number> };
}

function matcherOf(search: SecretsSearch, now: number): (row: SecretRow) => boolean {
  const words = (search.search ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const { origin, usedBy, vaultSecret, expiring = false, stale = false } = search;
  return (row) =>
    words.every((word) => row.text.includes(word)) &&
    (origin === undefined || row.secret.origin === (origin === "managed" ? Origin.MANAGED : Origin.UNMANAGED)) &&
    (vaultSecret === undefined || row.vaultSecrets.includes(vaultSecret)) &&
    (usedBy === undefined || isUsedBy(row.users, usedBy)) &&
    (!stale || isStale(row.secret)) &&
    (!expiring || endsOf(row.secret, now).some(isDue));
}

/** What nobody has looked at matches neither a user nor "nothing". */
function isUsedBy(users: readonly User[] | undefined, usedBy: string): boolean {
  if (users === undefined) {
    return false;
  }
  return usedBy === NOTHING ? users.length === 0 : users.some(({ id }) => id === usedBy);
}

/** Whether anything narrows the table; its order does not. */
export function isNarrowed(search: SecretsSearch): boolean {
  return Object.keys(search).some((name) => name !== "sort");
}

/** The states by how much they ask for somebody: what to look at first comes first. */
const URGENCY = [State.FAILED, State.DEGRADED, State.PENDING, State.DELETING, State.SYNCED];

export function urgencyOf({ secret }: SecretRow): number {
  const place = URGENCY.indexOf(secret.state);
  // What was not compared comes right before what is in sync.
  return place < 0 ? 0 : isUncompared(secret) ? place - 0.5 : place;
}
