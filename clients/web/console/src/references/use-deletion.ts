/** The deletions of a dialog: told to its end while it is open, and by a toast where it no longer is. */
import { useEffect, useState, useSyncExternalStore } from "react";

import { useClient } from "../api/connection";
import { useLookAgain } from "../api/hooks";
import { useNotify } from "../ui/notify";
import { DeleteMany } from "./delete-many";
import type { Steps } from "./deletion-steps";

/** The deletions, and how far each is. */
export function useDeletion(): { readonly steps: Steps } & Pick<DeleteMany, "start" | "again" | "stop" | "reset"> {
  const client = useClient();
  const lookAgain = useLookAgain();
  const notify = useNotify();
  const [{ attend, subscribe, steps, start, again, stop, reset }] = useState(
    () =>
      new DeleteMany(client, {
        tell: ({ title, body, isBad }) => (isBad ? notify.failed(body, title) : notify.done(title, body)),
        onQuiet: () => void lookAgain(),
      }),
  );
  useEffect(attend, [attend]);
  return { steps: useSyncExternalStore(subscribe, steps), start, again, stop, reset };
}
