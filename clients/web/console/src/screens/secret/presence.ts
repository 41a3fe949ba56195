/** Whether a synced secret is there, as two look at it: Get, asked for by name, and the watch, which tells changes at once. */
import { NotFoundError } from "@iotoperations/secret-service-client";

/** What Get said of it. */
export interface Looked {
  /** Whether it was ever read. */
  readonly wasRead: boolean;
  readonly error: Error | null;
}

/** What the watch says of it. */
export interface Watched {
  /** Whether it has it. */
  readonly has: boolean;
  /** Whether it ever had it. */
  readonly had: boolean;
  /** Whether what it has is so now, not as of when it was interrupted. */
  readonly isLive: boolean;
}

/**
 * `loading`: nobody knows yet. `there`: it was read, and nobody says that it is no more. `gone`: it was read, and is no more.
 * `absent`: there is none. `unknown`: it could not be looked at.
 */
export type Presence = "loading" | "there" | "gone" | "absent" | "unknown";

/** What two looks give together. A watch that is interrupted knows nothing of now: then Get alone says whether it is there. */
export function presenceOf({ wasRead, error }: Looked, { has, had, isLive }: Watched): Presence {
  const isFound = has && isLive;
  // What was made just now may be watched before Get has found it.
  const isMissing = error instanceof NotFoundError && !isFound;
  if (wasRead) {
    return isMissing || (had && !has && isLive) ? "gone" : "there";
  }
  if (isMissing) {
    return "absent";
  }
  return error === null || error instanceof NotFoundError ? "loading" : "unknown";
}
