/** How far what was asked for is on its way to the edge. */
import { conditionOf, State, type SyncedSecret } from "@iotoperations/secret-service-client";

/** What was asked for. */
export interface Followed {
  /** In words: "The change". */
  readonly what: string;
  /** The state with which the service accepted it; as long as none was read since, it is the newest that is known. */
  readonly accepted?: { readonly secret: SyncedSecret; /** In milliseconds since 1970. */ readonly at: number };
  /** The version of a vault secret that the edge shall have. */
  readonly version?: FollowedVersion;
}

export interface FollowedVersion {
  readonly key: string;
  readonly vaultSecret: string;
  readonly version: string;
  /** The version at the edge when it was asked for. */
  readonly before: string;
  /** Of the synced secret. */
  readonly uid: string;
}

/**
 * `going`: it is on its way. `there`: the edge has it. `failed`: the latest attempt failed; the service goes on. `overtaken`: the
 * edge has, or gets, something else.
 */
export interface Way {
  readonly step: "going" | "there" | "failed" | "overtaken";
  /** What the service, or a look at it, says of it. */
  readonly message: string;
  /** The state that says so. */
  readonly secret: SyncedSecret;
}

/** Looks at what is so now: `read` is what the service had at `readAt`. */
export function wayOf(read: SyncedSecret, readAt: number, { accepted, version }: Followed): Way {
  const secret = accepted === undefined || isSince(read, readAt, accepted) ? read : accepted.secret;
  const way = (step: Way["step"], message = ""): Way => ({ step, message, secret });
  const generation = accepted?.secret.generation ?? 0n;
  if (secret.uid !== (accepted?.secret.uid ?? version?.uid ?? secret.uid)) {
    return way("overtaken", "It was deleted and made anew since.");
  }
  if (secret.state === State.DELETING) {
    return way("overtaken", "It is being deleted.");
  }
  const other = version === undefined ? "" : otherThan(version, secret);
  if (other !== "") {
    return way("overtaken", other);
  }
  const message = conditionOf(secret, "Synced")?.message ?? "";
  if (secret.state === State.DEGRADED || secret.state === State.FAILED) {
    return way("failed", message);
  }
  const hasGeneration = secret.state === State.SYNCED && secret.syncedGeneration >= generation;
  const reference = secret.references.find(({ key }) => key === version?.key);
  const hasVersion = version === undefined || reference?.syncedVersion === version.version;
  return way(hasGeneration && hasVersion ? "there" : "going", message);
}

/** Whether it was read since it was accepted; what was read before says nothing about it. */
function isSince(read: SyncedSecret, readAt: number, { secret, at }: NonNullable<Followed["accepted"]>): boolean {
  return readAt >= at && (read.uid !== secret.uid || read.generation >= secret.generation);
}

/** What the edge has or gets in place of a version; empty where it may yet get that one. */
function otherThan({ key, vaultSecret, version, before }: FollowedVersion, { references }: SyncedSecret): string {
  const reference = references.find((one) => one.key === key);
  if (reference?.vaultSecret !== vaultSecret) {
    return reference === undefined ? `There is no key ${key} any more.` : `${key} takes another vault secret by now.`;
  }
  if (reference.version !== "" && reference.version !== version) {
    return `${key} is pinned to another version by now, ${reference.version}.`;
  }
  const { syncedVersion } = reference;
  return syncedVersion === version || syncedVersion === before ? "" : `The edge has another version by now, ${syncedVersion}.`;
}
