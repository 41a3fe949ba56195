/** Changes that somebody asks for: carried out once, however often the button is pressed. */
import { Code, newId, SecretServiceError, ServiceUnreachableError, UnauthenticatedError } from "@iotoperations/secret-service-client";
import { useMutation, type UseMutationResult } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { useNotify } from "../ui/notify";
import { useLookAgain } from "./hooks";

/** What follows a change that was made; with the input of that very call, since the page may show another by then. */
export interface ChangeOptions<Input, Output> {
  /** Tells of it, wherever the person is by now. */
  readonly onDone?: (output: Output, input: Input) => void;
  /** Closes what asked for it, or goes on from there: only while that is still on the page. */
  readonly after?: (output: Output, input: Input) => void;
}

/**
 * A change. `call` gets a request id: the same one again until it succeeds or something else is asked for (`input.revision` is
 * another), so that what an attempt did whose answer was lost is not done twice. The service does not keep refusals, so a
 * refused request may be sent again as it is.
 */
export function useChange<Input extends { readonly revision?: string | number } | undefined, Output>(
  call: (input: Input, requestId: string) => Promise<Output>,
  { onDone, after }: ChangeOptions<Input, Output> = {},
): UseMutationResult<Output, Error, Input> {
  const lookAgain = useLookAgain();
  const notify = useNotify();
  const isHere = useIsHere();
  const open = useRef<{ requestId: string; revision: string | number | undefined } | undefined>(undefined);
  return useMutation({
    mutationFn: (input: Input) => {
      const revision = input?.revision;
      if (open.current === undefined || open.current.revision !== revision) {
        open.current = { requestId: newId(), revision };
      }
      return call(input, open.current.requestId);
    },
    onSuccess: (output, input) => {
      open.current = undefined;
      onDone?.(output, input);
      if (isHere.current) {
        after?.(output, input);
      }
    },
    onError: (error) => {
      if (!isHere.current) {
        notify.failed(error);
      }
    },
    // Nothing waits for what is read again: the change has ended.
    onSettled: () => void lookAgain(),
    // What was sent may hold a value: nothing keeps it once the call has ended.
    gcTime: 0,
  });
}

/** Whether the component is on the page. */
export function useIsHere(): { readonly current: boolean } {
  const isHere = useRef(false);
  useEffect(() => {
    isHere.current = true;
    return () => {
      isHere.current = false;
    };
  }, []);
  return isHere;
}

// Also unauthenticated: an attempt whose answer was lost may have been made before the credentials ended.
const UNKNOWN_OUTCOMES: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Unauthenticated,
  Code.Internal,
  Code.Unknown,
  Code.Canceled,
]);

/** Whether the service may have made the change all the same, or still be at it. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof SecretServiceError && (UNKNOWN_OUTCOMES.has(error.code) || error.reason === "REQUEST_IN_PROGRESS");
}

/** Whether the next call would end alike, whatever it is about: of several, no other is begun then. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof UnauthenticatedError || error instanceof ServiceUnreachableError;
}
