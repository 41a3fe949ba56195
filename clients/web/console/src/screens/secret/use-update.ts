/** Changes a synced secret: first a check that changes nothing, then the change. */
import type { Changes, SyncedSecret } from "@iotoperations/secret-service-client";
import { useRef, useState } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { useOpenRequests } from "./open-request";

/** What is wanted of a state, and of no other: where it is another by then, the service refuses. */
export interface Wanted {
  readonly base: SyncedSecret;
  readonly changes: Changes;
  /** Another one for every other content of the edit. */
  readonly content: string;
  /** Another one for every other request. */
  readonly revision: string;
}

export function useUpdate(onAccepted: (updated: SyncedSecret) => void) {
  const client = useClient();
  const [step, setStep] = useState<"checking" | "changing">("checking");
  const [checkedRevision, setChecked] = useState<string>();
  const { open, send } = useOpenRequests<Wanted>();
  // Read where a call goes on after the rendering that began it.
  const checked = useRef<string>(undefined);
  const check = async ({ base, changes, revision }: Wanted): Promise<void> => {
    await client.updateSyncedSecret(base, changes, { validateOnly: true });
    checked.current = revision;
    setChecked(revision);
  };
  const onlyCheck = useChange<Wanted, undefined>(async (wanted) => {
    await check(wanted);
  });
  const update = useChange<Wanted, SyncedSecret>(
    async (wanted, requestId) => {
      setStep("checking");
      // A change whose outcome is unknown may be done already: checked again, it would stand in its own way.
      if (checked.current !== wanted.revision) {
        await check(wanted);
      }
      setStep("changing");
      return send(wanted, () => client.updateSyncedSecret(wanted.base, wanted.changes, { requestId }));
    },
    { after: onAccepted },
  );
  return { update, onlyCheck, step, checkedRevision, open };
}
