/** An edit beside what is so now: whether somebody has to decide, and what is sent. */
import type { Changes, Reference, SyncedSecret } from "@iotoperations/secret-service-client";

import { changesOf, differences, draftOf, rebased, referenceOf, type Draft } from "./draft";

export interface Edit {
  /** What the edit began with. */
  readonly read: SyncedSecret;
  /** What is so now. */
  readonly current: SyncedSecret;
  readonly draft: Draft;
}

/** What an edit comes to: the smallest change of one state, which the service refuses of any other. */
export interface Outcome {
  readonly base: SyncedSecret;
  readonly before: Draft;
  readonly changes: Changes;
}

/** Whether somebody else's change would be lost, so that a person has to decide. */
export function mustDecide({ read, current, draft }: Edit): boolean {
  if (read.etag === current.etag) {
    return false;
  }
  return read.uid !== current.uid || differences(draftOf(read), draftOf(current), draft).some(({ collides }) => collides);
}

/** What an edit comes to. Where others changed only what it doesn't touch, it is an edit of what they left. */
export function outcomeOf(edit: Edit): Outcome {
  const { read, current, draft } = edit;
  const base = mustDecide(edit) ? read : current;
  const before = draftOf(base);
  return { base, before, changes: changesOf(before, base.etag === read.etag ? draft : rebased(draftOf(read), before, draft)) };
}

/**
 * The draft without what an earlier save of the same edit has created, though its answer was lost: created once more, it would
 * stand in its own way. `sent` has the very references of the saves whose outcome nobody knows.
 */
export function withoutMade(draft: Draft, sent: readonly Reference[], current: SyncedSecret): Draft {
  const made = (reference: Reference): Reference => {
    if (reference.create === undefined || !sent.includes(reference)) {
      return reference;
    }
    const now = current.references.find(({ key, vaultSecret }) => key === reference.key && vaultSecret === reference.vaultSecret);
    return now === undefined ? reference : referenceOf(now);
  };
  return { ...draft, references: draft.references.map(made) };
}

/** Why it can't be saved; nothing where it can. */
export function whyNotSave({ isPending, isGone, isDeleting, isOpen, isUndecided, labelProblem, isNothing }: SaveState): string | undefined {
  if (isPending) {
    return "It is being done.";
  }
  if (isGone || isDeleting) {
    return isGone ? "It was deleted meanwhile." : "It is being deleted.";
  }
  // The same request again is refused, or answered as it was: nothing that came since is in its way.
  if (isOpen) {
    return undefined;
  }
  if (isUndecided) {
    return "It was changed meanwhile: decide above what shall be so.";
  }
  return labelProblem ?? (isNothing ? "Nothing is changed." : undefined);
}

interface SaveState {
  readonly isPending: boolean;
  readonly isGone: boolean;
  readonly isDeleting: boolean;
  /** Whether this very edit was sent, and nobody knows whether it is done. */
  readonly isOpen: boolean;
  readonly isUndecided: boolean;
  readonly labelProblem: string | undefined;
  /** Whether it would change nothing. */
  readonly isNothing: boolean;
}
