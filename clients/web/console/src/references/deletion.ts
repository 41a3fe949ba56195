/** What a deletion will do, before it is done. */
import { conditionOf, ConditionStatus, InUseError, Origin, SecretServiceError, State, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";

import { count } from "../ui/words";
import { ownerOf } from "../ui/usages";

/** One of those that shall be deleted. */
export interface Candidate {
  readonly secret: SyncedSecret;
  readonly usages: readonly SecretUsage[];
  /**
   * `free`: it can go. `used`: the service will refuse. `unknown`: something may use it where the service can't look, so it will
   * refuse. `foreign`: another tool's, the service will refuse. `leaving`: somebody deletes it already.
   */
  readonly verdict: "free" | "used" | "unknown" | "foreign" | "leaving";
}

/** Looks at each with what uses it; `usages` may be of others, too. `wasRefused`: the service has refused it for its uses. */
export function candidates(secrets: readonly SyncedSecret[], usages: readonly SecretUsage[], wasRefused = false): Candidate[] {
  return secrets.map((secret) => {
    const its = usages.filter(({ syncedSecret }) => syncedSecret === secret.name);
    return { secret, usages: its, verdict: verdictOf(secret, its, wasRefused) };
  });
}

function verdictOf(secret: SyncedSecret, usages: readonly SecretUsage[], wasRefused: boolean): Candidate["verdict"] {
  if (secret.origin === Origin.UNMANAGED) {
    return "foreign";
  }
  if (secret.state === State.DELETING) {
    return "leaving";
  }
  if (usages.length > 0) {
    return "used";
  }
  return wasRefused || isUseUnknown(secret) ? "unknown" : "free";
}

/** Whether the service could not look at all that may use it: the list of its usages is then only what it knows. */
function isUseUnknown(secret: SyncedSecret): boolean {
  const status = conditionOf(secret, "InUse")?.status;
  return status === undefined || status === ConditionStatus.UNKNOWN;
}

/** Whether the service refused because of what uses it, or may: it can be told to delete it all the same. */
export function isRefusedForUse(error: unknown): boolean {
  return error instanceof InUseError || (error instanceof SecretServiceError && error.reason.startsWith("USAGES_"));
}

/** The verdict in words. */
export function wordsOfVerdict({ secret, verdict, usages }: Candidate): string {
  switch (verdict) {
    case "foreign":
      return "Stays: another tool made it. Delete it there, or adopt it first.";
    case "leaving":
      return "Is being deleted already.";
    case "used":
      return `Stays: used by ${usersOf(usages)}.`;
    case "unknown":
      return `Stays: whether something uses it is not known. ${whyUnknown(secret)}`;
    case "free":
      return "Nothing uses it.";
  }
}

function whyUnknown(secret: SyncedSecret): string {
  const said = conditionOf(secret, "InUse");
  if (said === undefined) {
    return "The service has not looked yet.";
  }
  return said.status === ConditionStatus.UNKNOWN ? said.message : "The service has refused to delete it for what may use it.";
}

const NAMED = 3;

/** `AssetEndpointProfile opc-plc-1, Device press-3 and 2 others`. */
export function usersOf(usages: readonly SecretUsage[]): string {
  const owners = [...new Set(usages.map(ownerOf))];
  if (owners.length <= NAMED) {
    return owners.length < 2 ? owners.join("") : `${owners.slice(0, -1).join(", ")} and ${owners.at(-1) ?? ""}`;
  }
  return `${owners.slice(0, NAMED).join(", ")} and ${count(owners.length - NAMED, "other")}`;
}
