/** An entry that somebody decides about, and what became of it meanwhile. */
import type { SecretReference } from "@iotoperations/secret-service-client";

import { isOutcomeUnknown } from "../../api/change";
import { HalfDoneError, problemOfEntry } from "./changes";
import type { Entry } from "./lists";

export interface EntryProps {
  /** As it was when it was chosen: that is what is decided about. */
  readonly entry: Entry;
  /** As it is now; absent where the list no longer has it. */
  readonly now: Entry | undefined;
  readonly onClose: () => void;
}

/** What somebody else did to an entry; nothing while a change of it, made here, may be the reason. */
export function meanwhileOf(
  { status, error }: { readonly status: "idle" | "pending" | "success" | "error"; readonly error: Error | null },
  seen: SecretReference,
  now: Entry | undefined,
): string | undefined {
  const mayBeOurs = status === "pending" || status === "success" || isOutcomeUnknown(error) || error instanceof HalfDoneError;
  const problem = mayBeOurs ? undefined : problemOfEntry(seen, now?.reference);
  return problem && `${problem} Close this and look at it.`;
}
