/** Changes a synced secret: first a check that changes nothing, then the change. */
import type { Changes, SyncedSecret } from "@iotoperations/secret-service-client";
import { useRef, useState } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { replacesWhole } from "./draft";

/** What is wanted of what was read. */
export interface Wanted {
  readonly read: SyncedSecret;
  readonly changes: Changes;
  /** Another one for every other content. */
  readonly revision: string;
}

export function useUpdate(onAccepted: (updated: SyncedSecret) => void) {
  const client = useClient();
  const [step, setStep] = useState<"checking" | "changing">("checking");
  const [checkedRevision, setChecked] = useState<string>();
  // Read where a call goes on after the rendering that began it.
  const checked = useRef<string>(undefined);
  const target = ({ read, changes }: Wanted) => (replacesWhole(changes) ? read : read.name);
  const check = async (wanted: Wanted): Promise<void> => {
    // A change whose outcome is unknown may be done already: checked again, it would stand in its own way.
    if (checked.current !== wanted.revision) {
      await client.updateSyncedSecret(target(wanted), wanted.changes, { validateOnly: true });
    }
    checked.current = wanted.revision;
    setChecked(wanted.revision);
  };
  const onlyCheck = useChange<Wanted, undefined>(async (wanted) => {
    checked.current = undefined;
    await check(wanted);
  });
  const update = useChange<Wanted, SyncedSecret>(
    async (wanted, requestId) => {
      setStep("checking");
      await check(wanted);
      setStep("changing");
      return client.updateSyncedSecret(target(wanted), wanted.changes, { requestId });
    },
    { onDone: onAccepted },
  );
  return { update, onlyCheck, step, checkedRevision };
}
