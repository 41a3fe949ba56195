/** What somebody edits, beside what is so now. */
import { newId, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { useState } from "react";

import { draftOf, isEmpty, labelsOf, rebased, rowsOf, type Draft } from "./draft";
import { mustDecide, outcomeOf, whyNotSave, withoutMade } from "./edit";
import type { Followed } from "./follow";
import { useUpdate, type Wanted } from "./use-update";

/** How an edit begins and ends. */
export interface Begin {
  /** What whoever edits it has seen; the service may have another state by now. */
  readonly read: SyncedSecret;
  /** With which edit it begins. */
  readonly seed: (draft: Draft) => Draft;
  readonly onAccepted: (followed: Followed) => void;
}

/** The edit beside what is so now: what saving it sends, and why it can't be saved. */
export function useEdit(current: SyncedSecret, isGone: boolean, { read: begun, seed, onAccepted }: Begin) {
  const held = useDraft(begun, seed);
  const changing = useUpdate((secret) => onAccepted({ what: "The change", accepted: { secret, at: Date.now() } }));
  const { read, content, labelProblem } = held;
  const { open, update, onlyCheck } = changing;
  const sent = open.flatMap(({ changes }) => changes.setReferences ?? []);
  const edit = { read, current, draft: withoutMade(held.draft, sent, current) };
  const { base, changes } = outcomeOf(edit);
  const repeated = open.find((one) => one.content === content);
  const wanted: Wanted = repeated ?? { base, changes, content, revision: `${content} ${base.etag}` };
  const why = whyNotSave({
    isPending: update.isPending || onlyCheck.isPending,
    isGone,
    isDeleting: current.state === State.DELETING,
    isOpen: repeated !== undefined,
    isUndecided: mustDecide(edit),
    labelProblem,
    isNothing: isEmpty(changes),
  });
  const { checkedRevision, ...rest } = changing;
  return {
    ...held,
    ...rest,
    draft: edit.draft,
    wanted,
    why,
    isChecked: checkedRevision === wanted.revision,
    /** Whether the outcome of this very edit is unknown. */
    isOpen: repeated !== undefined,
    /** Whether that of any edit in this dialog is. */
    isLost: open.length > 0,
    keep: () => held.rebase(current, rebased(draftOf(read), draftOf(current), edit.draft)),
    drop: () => held.begin(current),
  };
}

/** What was read, what is wanted, and a name for each content. */
function useDraft(begun: SyncedSecret, seed: (draft: Draft) => Draft) {
  const [read, setRead] = useState(begun);
  const [held, setHeld] = useState(() => seed(draftOf(begun)));
  const [rows, setRows] = useState(() => rowsOf(held.labels));
  const [count, setCount] = useState(0);
  // Two openings are two requests, even with the same content.
  const [opening] = useState(() => newId());
  const { labels, rest, problem } = labelsOf(rows);
  const put = (draft: Draft): void => {
    setHeld(draft);
    setCount((before) => before + 1);
  };
  const putRows = (changed: typeof rows): void => {
    setRows(changed);
    setCount((before) => before + 1);
  };
  const start = (secret: SyncedSecret, draft: Draft, others: typeof rows): void => {
    setRead(secret);
    putRows([...rowsOf(draft.labels), ...others]);
    put(draft);
  };
  return {
    read,
    draft: { ...held, labels },
    rows,
    labelProblem: problem,
    content: `${opening} ${String(count)}`,
    put,
    putRows,
    /** Goes on with this draft of another state; rows that are no labels yet stay. */
    rebase: (secret: SyncedSecret, draft: Draft): void => start(secret, draft, rest),
    /** Begins anew with another state. */
    begin: (secret: SyncedSecret): void => start(secret, draftOf(secret), []),
  };
}
