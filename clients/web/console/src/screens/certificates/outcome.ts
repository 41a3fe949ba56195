/** What came of a change, as far as the service said. */
import { conditionOf, State, type SyncedSecret } from "@iotoperations/secret-service-client";

/** Whether the edge has it, in a sentence. */
export function wordsOfOutcome(secret: SyncedSecret): string {
  if (secret.state === State.SYNCED && secret.syncedGeneration === secret.generation) {
    return "The edge has it.";
  }
  const why = conditionOf(secret, "Synced")?.message;
  return secret.state === State.PENDING || why === undefined
    ? "It is recorded; the edge doesn’t have it yet. The service goes on by itself."
    : `It is recorded, but not at the edge: ${why}`;
}
