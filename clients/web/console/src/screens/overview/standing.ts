/** How the synced secrets stand: counted, and what somebody should look at. */
import { conditionOf, idOf, Origin, type SecretUsage, type State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";

import { endsOf, isDue, isStale, isUncompared, type End } from "../../ui/standing";

/** How many are in each state. */
export function countByState(secrets: readonly SyncedSecret[]): ReadonlyMap<State, number> {
  const counts = new Map<State, number>();
  for (const { state } of secrets) {
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return counts;
}

export function unmanagedOf(secrets: readonly SyncedSecret[]): number {
  return secrets.filter(({ origin }) => origin === Origin.UNMANAGED).length;
}

/** A synced secret whose values at the edge may not be those of the vault. */
export interface Stale {
  readonly secret: SyncedSecret;
  /** Since when; absent where the service didn't say. */
  readonly since: Date | undefined;
  /** Why, in the service's words. */
  readonly why: string;
}

/** What is pending, degraded or failed, and what was not compared for long: what has been so for longest comes first. */
export function staleOf(secrets: readonly SyncedSecret[]): readonly Stale[] {
  const stale = secrets.flatMap((secret): Stale[] => {
    if (!isStale(secret)) {
      return [];
    }
    const condition = conditionOf(secret, isUncompared(secret) ? "Compared" : "Synced");
    return [{ secret, since: dateOf(condition?.lastTransitionTime), why: condition?.message ?? "" }];
  });
  return stale.sort((one, other) => (one.since?.getTime() ?? 0) - (other.since?.getTime() ?? 0));
}

/** What of a synced secret is over, or soon will be. */
export interface Expiry extends End {
  readonly secret: SyncedSecret;
  /** The condition's text, where no date is known. */
  readonly message: string;
}

/** What has expired and what expires soon, the earliest first. */
export function expiriesOf(secrets: readonly SyncedSecret[], now: Date): readonly Expiry[] {
  const found = secrets.flatMap((secret) =>
    endsOf(secret, now.getTime())
      .filter(isDue)
      .map((end): Expiry => ({ ...end, secret, message: end.at === undefined ? (conditionOf(secret, "Expiring")?.message ?? "") : "" })),
  );
  return found.sort((one, other) => (one.at ?? 0) - (other.at ?? 0));
}

/** The uses that can't work, what surely names a secret before what only seems to. */
export function brokenOf(usages: readonly SecretUsage[]): readonly SecretUsage[] {
  return usages
    .filter(({ secretMissing, keyMissing }) => secretMissing || keyMissing)
    .sort((one, other) => Number(one.guessed) - Number(other.guessed) || compare(placeOf(one), placeOf(other)));
}

/** Where a use stands, as a key. */
export function placeOf({ kind, namespace, resource, field }: SecretUsage): string {
  return [kind, namespace, resource, field].join("/");
}

/** Whether a name can be that of a secret in the vault. */
export function mayBeVaultSecret(syncedSecret: string): boolean {
  return /^[0-9a-zA-Z-]{1,127}$/.test(idOf(syncedSecret));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function dateOf(time: Timestamp | undefined): Date | undefined {
  return time && timestampDate(time);
}
