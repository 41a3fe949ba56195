/** Requests that were sent and whose outcome nobody knows: pressing again repeats one as it was, whatever has changed since. */
import { Code, SecretServiceError } from "@iotoperations/secret-service-client";
import { useCallback, useState } from "react";

import { isOutcomeUnknown } from "../../api/change";

/** The service says these of a call before it looks whether it has made the change already. */
const BEFORE_THE_LOOK: ReadonlySet<Code> = new Set([Code.PermissionDenied, Code.ResourceExhausted, Code.Unimplemented]);

/** Whether the outcome is still not known after an attempt that ended so. */
export function staysOpen(error: unknown, wasOpen: boolean): boolean {
  return isOutcomeUnknown(error) || (wasOpen && error instanceof SecretServiceError && BEFORE_THE_LOOK.has(error.code));
}

/** Sends requests, and keeps those that are open. */
export function useOpenRequests<Wanted>(): {
  readonly open: readonly Wanted[];
  readonly send: <Output>(wanted: Wanted, call: () => Promise<Output>) => Promise<Output>;
} {
  const [open, setOpen] = useState<readonly Wanted[]>([]);
  const send = useCallback(async <Output>(wanted: Wanted, call: () => Promise<Output>): Promise<Output> => {
    const settle = (isOpen: (wasOpen: boolean) => boolean): void =>
      setOpen((before) => {
        const others = before.filter((one) => one !== wanted);
        return isOpen(others.length < before.length) ? [...others, wanted] : others;
      });
    try {
      const output = await call();
      settle(() => false);
      return output;
    } catch (error) {
      settle((wasOpen) => staysOpen(error, wasOpen));
      throw error;
    }
  }, []);
  return { open, send };
}
