/** Whether a synced secret is in sync, and when what it holds ends: the same on every screen. */
import { conditionOf, ConditionStatus, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";

/** What is due within so many days is worth a look; the service's own condition says the same. */
export const SOON_DAYS = 30;
const SOON_MS = SOON_DAYS * 86_400_000;

/** Whether it counts as synced, but was not compared with the vault for too long: the edge may hold older versions. */
export function isUncompared(secret: SyncedSecret): boolean {
  return secret.state === State.SYNCED && conditionOf(secret, "Compared")?.status === ConditionStatus.FALSE;
}

/** Whether the values at the edge may not be those of the vault. */
export function isStale(secret: SyncedSecret): boolean {
  return [State.PENDING, State.DEGRADED, State.FAILED].includes(secret.state) || isUncompared(secret);
}

/** When something that a reference holds ends. */
export interface End {
  /** Which key; empty where only the condition of the whole tells. */
  readonly key: string;
  readonly what: "version" | "certificate" | "secret";
  /** In milliseconds since 1970; absent where only the condition tells. */
  readonly at: number | undefined;
  readonly standing: "expired" | "soon" | "later";
}

/** When what it holds ends, the earliest first; what is due and has no date that the caller may see comes first of all. */
export function endsOf(secret: SyncedSecret, now: number): readonly End[] {
  const dated = secret.references.flatMap(({ key, expireTime, certificate }) => {
    // A revocation list lives for days: it is no news until it is overdue.
    const notice = certificate?.revocationList === true ? 0 : SOON_MS;
    return [...endOf(key, "version", expireTime, SOON_MS), ...endOf(key, "certificate", certificate?.expireTime, notice)];
  });
  dated.sort((one, other) => one.at - other.at);
  const condition = conditionOf(secret, "Expiring");
  // Its references may be out of sight for this caller; the condition is not.
  if (condition?.status === ConditionStatus.TRUE && !dated.some(isDue)) {
    return [{ key: "", what: "secret", at: undefined, standing: condition.reason === "Expired" ? "expired" : "soon" }, ...dated];
  }
  return dated;

  function endOf(key: string, what: End["what"], time: Timestamp | undefined, notice: number): (End & { at: number })[] {
    if (time === undefined) {
      return [];
    }
    const at = timestampMs(time);
    return [{ key, what, at, standing: at <= now ? "expired" : at <= now + notice ? "soon" : "later" }];
  }
}

/** Whether it has ended or soon will. */
export function isDue({ standing }: Pick<End, "standing">): boolean {
  return standing !== "later";
}

/** The end that counts for the whole: the first that is due, or else the earliest of all. */
export function nextEndOf(ends: readonly End[]): End | undefined {
  return ends.find(isDue) ?? ends[0];
}
