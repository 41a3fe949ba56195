/** What a deletion will do, before it is done. */
import { Origin, State, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";

import { count } from "../ui/words";
import { ownerOf } from "../ui/usages";

/** One of those that shall be deleted. */
export interface Candidate {
  readonly secret: SyncedSecret;
  readonly usages: readonly SecretUsage[];
  /**
   * `free`: it can go. `used`: the service will refuse. `foreign`: another tool's, the service will refuse. `leaving`: somebody
   * deletes it already.
   */
  readonly verdict: "free" | "used" | "foreign" | "leaving";
}

/** Looks at each with what uses it; `usages` may be of others, too. */
export function candidates(secrets: readonly SyncedSecret[], usages: readonly SecretUsage[]): Candidate[] {
  return secrets.map((secret) => {
    const its = usages.filter(({ syncedSecret }) => syncedSecret === secret.name);
    return { secret, usages: its, verdict: verdictOf(secret, its) };
  });
}

function verdictOf(secret: SyncedSecret, usages: readonly SecretUsage[]): Candidate["verdict"] {
  if (secret.origin === Origin.UNMANAGED) {
    return "foreign";
  }
  if (secret.state === State.DELETING) {
    return "leaving";
  }
  return usages.length > 0 ? "used" : "free";
}

/** The verdict in words. */
export function wordsOfVerdict({ verdict, usages }: Candidate): string {
  switch (verdict) {
    case "foreign":
      return "Stays: another tool made it. Delete it there, or adopt it first.";
    case "leaving":
      return "Is being deleted already.";
    case "used":
      return `Stays: used by ${usersOf(usages)}.`;
    case "free":
      return "Nothing uses it.";
  }
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

/** How far the deletion of one is. `gone`: the service says that it is no more. */
export type Progress =
  | { readonly step: "asked" }
  | { readonly step: "leaving"; readonly held: string }
  | { readonly step: "gone" }
  | { readonly step: "failed"; readonly error: unknown };

/** What is gone or on its way out. */
export function deletedOf(progress: ReadonlyMap<string, Progress>): string[] {
  return [...progress].filter(([, { step }]) => step === "gone" || step === "leaving").map(([name]) => name);
}

/** Whether there is nothing left to wait for. */
export function isOver(progress: ReadonlyMap<string, Progress>): boolean {
  return [...progress.values()].every(({ step }) => step === "gone" || step === "failed");
}

/** What a toast says afterwards. */
export function toldOf(progress: ReadonlyMap<string, Progress>): string {
  const steps = [...progress].filter(([, { step }]) => step === "gone" || step === "leaving");
  const gone = steps.every(([, { step }]) => step === "gone");
  const [first] = steps;
  const what = steps.length === 1 && first !== undefined ? first[0].replace(/^syncedSecrets\//, "") : count(steps.length, "synced secret");
  const verb = steps.length === 1 ? "is" : "are";
  return `${what} ${verb} ${gone ? "deleted" : "being deleted"}`;
}
