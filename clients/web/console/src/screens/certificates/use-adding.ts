/** Adds entries to a list, and tells of it. */
import type { Reference } from "@iotoperations/secret-service-client";
import { useState } from "react";

import { isOutcomeUnknown, useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { useNotify } from "../../ui/notify";
import { count } from "../../ui/words";
import { KeyTakenError, ListChanger } from "./changes";
import { wordsOfOutcome } from "./outcome";

interface Addition {
  readonly list: string;
  readonly entries: readonly Reference[];
  /** Another one for everything else that can be asked for. */
  readonly revision: string;
}

export function useAdding(onClose: () => void) {
  const client = useClient();
  const notify = useNotify();
  const [changer] = useState(() => new ListChanger(client));
  const [unknown, setUnknown] = useState<string>();
  const adding = useChange(
    async ({ list, entries, revision }: Addition, requestId) => {
      try {
        return await changer.add(list, entries, requestId);
      } catch (error) {
        if (isOutcomeUnknown(error)) {
          setUnknown(revision);
        } else if (error instanceof KeyTakenError) {
          setUnknown(undefined);
        }
        throw error;
      }
    },
    {
      onDone: (result, { list, entries }) => {
        const [first] = entries;
        const what = first !== undefined && entries.length === 1 ? `${first.key} was` : count(entries.length, "entry was", "entries were");
        notify.done(`${what} added to ${list}.`, wordsOfOutcome(result));
      },
      after: onClose,
    },
  );
  return {
    adding,
    /** Whether entries that the list shows by now may be those that were asked for. */
    mayBeThere: (revision: string): boolean => adding.isPending || unknown === revision,
  };
}
