/** Deletes synced secrets and follows each until it is gone. */
import { conditionOf, newId, NotFoundError, type SecretServiceClient, type SyncedSecret } from "@iotoperations/secret-service-client";
import { useCallback, useEffect, useRef, useState } from "react";

import { useClient } from "../api/connection";
import { useLookAgain } from "../api/hooks";
import type { Progress } from "./deletion";

/** How many are deleted at the same time. */
const AT_ONCE = 4;
/** How long a call may wait for the edge before the page looks by itself. */
const WAIT_MS = 5_000;
const PAUSE_MS = 1_000;

type Tell = (name: string, progress: Progress) => void;

/** A deletion. `start` also tries again what failed; what is known of it stays. */
export function useDeletion(): {
  readonly progress: ReadonlyMap<string, Progress>;
  readonly start: (secrets: readonly SyncedSecret[], options?: { force?: boolean }) => void;
} {
  const client = useClient();
  const lookAgain = useLookAgain();
  const [progress, setProgress] = useState<ReadonlyMap<string, Progress>>(new Map());
  // The same request again is the same deletion, so a retry after a broken connection deletes nothing that came since.
  const requestIds = useRef(new Map<string, string>());
  const closed = useRef<AbortController>(undefined);
  useEffect(() => {
    const controller = new AbortController();
    closed.current = controller;
    return () => controller.abort();
  }, []);
  const start = useCallback(
    (secrets: readonly SyncedSecret[], { force = false }: { force?: boolean } = {}) => {
      const tell: Tell = (name, step) => setProgress((before) => new Map(before).set(name, step));
      const left = [...secrets];
      left.forEach(({ name }) => tell(name, { step: "asked" }));
      const work = async (): Promise<void> => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          const key = `${next.name} ${next.etag} ${String(force)}`;
          const requestId = requestIds.current.get(key) ?? newId();
          requestIds.current.set(key, requestId);
          await remove(client, next, { force, requestId, signal: closed.current?.signal }, tell);
        }
      };
      void Promise.all(Array.from({ length: AT_ONCE }, work)).then(lookAgain);
    },
    [client, lookAgain],
  );
  return { progress, start };
}

interface RemoveOptions {
  readonly force: boolean;
  readonly requestId: string;
  /** Ends the looking, not the deletion. */
  readonly signal: AbortSignal | undefined;
}

async function remove(client: SecretServiceClient, secret: SyncedSecret, options: RemoveOptions, tell: Tell): Promise<void> {
  const { force, requestId, signal } = options;
  try {
    await client.deleteSyncedSecret(secret, { force, requestId, waitMs: WAIT_MS });
    await untilGone(client, secret, signal, tell);
  } catch (error) {
    if (signal?.aborted !== true) {
      tell(secret.name, error instanceof NotFoundError ? { step: "gone" } : { step: "failed", error });
    }
  }
}

/** Looks until the service has it no more, or something else of the same name. */
async function untilGone(client: SecretServiceClient, secret: SyncedSecret, signal: AbortSignal | undefined, tell: Tell): Promise<void> {
  while (signal?.aborted !== true) {
    const now = await client.getSyncedSecret(secret.name, { usages: false, signal });
    if (now.uid !== secret.uid) {
      break;
    }
    tell(secret.name, { step: "leaving", held: conditionOf(now, "Synced")?.message ?? "" });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  if (signal?.aborted !== true) {
    tell(secret.name, { step: "gone" });
  }
}
