/** How far a created synced secret is on its way to the edge, by what was last seen of it. */
import { isSynced, NotFoundError, State, type SyncedSecret } from "@iotoperations/secret-service-client";

import type { LiveSnapshot } from "../../api/live";

/** What asking for it again told: the last answer and when it came, and the error of a later look. */
export interface Asked {
  readonly data: SyncedSecret | undefined;
  readonly dataUpdatedAt: number;
  readonly error: unknown;
}

export type Arrival =
  | { readonly state: "at-edge" | "failed" | "coming" | "deleting"; readonly secret: SyncedSecret }
  /** It was deleted, or its name is that of another by now. */
  | { readonly state: "gone" }
  /** `looked`: when it was last seen, in milliseconds since 1970; 0 if never since it was created. */
  | { readonly state: "unknown"; readonly looked: number };

export function arrivalOf(
  created: SyncedSecret,
  { status, byName, heard }: Pick<LiveSnapshot, "status" | "byName" | "heard">,
  { data, dataUpdatedAt, error }: Asked,
): Arrival {
  const seen = byName.get(created.name);
  const watched = isOf(created, seen) ? seen : undefined;
  const asked = isOf(created, data) ? data : undefined;
  if (status === "live" && watched !== undefined) {
    return stateOf(watched);
  }
  // A watch may not have told of it yet, or tell of one before: that it is gone, only the answer to a question says.
  if (error instanceof NotFoundError || (error === null && data !== undefined && asked === undefined)) {
    return { state: "gone" };
  }
  const newest = asked !== undefined && (watched === undefined || dataUpdatedAt >= heard) ? asked : (watched ?? created);
  const arrival = stateOf(newest);
  return arrival.state === "coming" && status !== "live" && error !== null
    ? { state: "unknown", looked: Math.max(asked === undefined ? 0 : dataUpdatedAt, watched === undefined ? 0 : heard) }
    : arrival;
}

/** Whether it is the one that was created, and not as it was before that. */
function isOf(created: SyncedSecret, secret: SyncedSecret | undefined): boolean {
  return secret?.uid === created.uid && secret.generation >= created.generation;
}

function stateOf(secret: SyncedSecret): Arrival {
  if (isSynced(secret)) {
    return { state: "at-edge", secret };
  }
  switch (secret.state) {
    case State.FAILED:
    case State.DEGRADED:
      return { state: "failed", secret };
    case State.DELETING:
      return { state: "deleting", secret };
    default:
      return { state: "coming", secret };
  }
}
