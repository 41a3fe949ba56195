/** What can be done with a synced secret in its state. */
import { conditionOf, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";

/** Why it can't be changed; nothing where it can. */
export function whyNotEdit({ origin, state }: SyncedSecret): string | undefined {
  if (origin === Origin.UNMANAGED) {
    return "Another tool made it: it is read-only here until it is adopted.";
  }
  return state === State.DELETING ? "It is being deleted." : undefined;
}

/** Whether another tool's Secret has its name, which adopting it would solve. */
export function isInConflict(secret: SyncedSecret): boolean {
  return secret.state !== State.DELETING && conditionOf(secret, "Synced")?.reason === "EdgeConflict";
}

/** Which generation the edge has. */
export function wordsOfEdge({ generation, syncedGeneration }: Pick<SyncedSecret, "generation" | "syncedGeneration">): string {
  if (syncedGeneration === 0n) {
    return `nothing yet; generation ${generation} is asked for`;
  }
  return syncedGeneration === generation
    ? `generation ${generation}, which is the latest`
    : `generation ${syncedGeneration}; generation ${generation} is asked for`;
}
