/** How the synced secrets stand: counted, and what somebody should look at. */
import {
  conditionOf,
  ConditionStatus,
  idOf,
  Origin,
  State,
  type SecretUsage,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";

const DAY_MS = 86_400_000;
/** What is due within so many days is worth a look; the service's own condition says the same. */
export const SOON_DAYS = 30;

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
  /** Whether it counts as synced, but nobody has compared it with the vault for too long. */
  readonly uncompared: boolean;
}

/** What is pending, degraded or failed, and what was not compared for long: what has been so for longest comes first. */
export function staleOf(secrets: readonly SyncedSecret[]): readonly Stale[] {
  const stale = secrets.flatMap((secret): Stale[] => {
    const isLate = [State.PENDING, State.DEGRADED, State.FAILED].includes(secret.state);
    const compared = conditionOf(secret, "Compared");
    const uncompared = !isLate && secret.state === State.SYNCED && compared?.status === ConditionStatus.FALSE;
    if (!isLate && !uncompared) {
      return [];
    }
    const condition = uncompared ? compared : conditionOf(secret, "Synced");
    return [{ secret, since: dateOf(condition?.lastTransitionTime), why: condition?.message ?? "", uncompared }];
  });
  return stale.sort((one, other) => (one.since?.getTime() ?? 0) - (other.since?.getTime() ?? 0));
}

/** A version or a certificate at the edge that is over, or soon will be. */
export interface Expiry {
  readonly secret: SyncedSecret;
  /** Which key; empty where only the condition of the whole tells. */
  readonly key: string;
  readonly what: "version" | "certificate" | "secret";
  readonly at: Date | undefined;
  readonly expired: boolean;
  /** The condition's text, where no date is known. */
  readonly message: string;
}

/** What has expired and what expires soon, the earliest first. */
export function expiriesOf(secrets: readonly SyncedSecret[], now: Date): readonly Expiry[] {
  const soon = now.getTime() + SOON_DAYS * DAY_MS;
  const found = secrets.flatMap((secret): Expiry[] => {
    const dated = secret.references.flatMap(({ key, expireTime, certificate }): Expiry[] => {
      const version = expiryOf(secret, key, "version", expireTime);
      // A revocation list lives for days: it is no news until it is overdue.
      const horizon = certificate?.revocationList === true ? now.getTime() : soon;
      const own = expiryOf(secret, key, "certificate", certificate?.expireTime);
      return [...within(version, soon), ...within(own, horizon)];
    });
    const condition = conditionOf(secret, "Expiring");
    // Its references may be out of sight for this caller; the condition is not.
    return dated.length === 0 && condition?.status === ConditionStatus.TRUE
      ? [{ secret, key: "", what: "secret", at: undefined, expired: condition.reason === "Expired", message: condition.message }]
      : dated;
  });
  return found.sort((one, other) => (one.at?.getTime() ?? 0) - (other.at?.getTime() ?? 0));

  function expiryOf(secret: SyncedSecret, key: string, what: Expiry["what"], time: Timestamp | undefined): Expiry | undefined {
    const at = dateOf(time);
    return at && { secret, key, what, at, expired: at.getTime() <= now.getTime(), message: "" };
  }
}

function within(expiry: Expiry | undefined, horizon: number): Expiry[] {
  return expiry?.at !== undefined && expiry.at.getTime() <= horizon ? [expiry] : [];
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
