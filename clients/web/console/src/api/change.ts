/** Changes that somebody asks for: carried out once, however often the button is pressed. */
import {
  DeadlineExceededError,
  UnavailableError,
  UnauthenticatedError,
} from "@iotoperations/secret-service-client";
import { useMutation, type UseMutationResult } from "@tanstack/react-query";
import { useRef } from "react";

import { useLookAgain } from "./hooks";

/** What a change is told to do after it. */
export interface ChangeOptions<Output> {
  readonly onDone?: (output: Output) => void;
}

/**
 * A change. `call` gets a request id: the same one again where the outcome of the last attempt is not known and nothing else is
 * asked for (`input.revision` is the same), so that what the first attempt did is not done twice.
 */
export function useChange<Input extends { readonly revision?: string | number } | undefined, Output>(
  call: (input: Input, requestId: string) => Promise<Output>,
  { onDone }: ChangeOptions<Output> = {},
): UseMutationResult<Output, Error, Input> {
  const lookAgain = useLookAgain();
  const open = useRef<{ requestId: string; revision: string | number | undefined } | undefined>(undefined);
  return useMutation({
    mutationFn: (input: Input) => {
      const revision = input?.revision;
      if (open.current === undefined || open.current.revision !== revision) {
        open.current = { requestId: crypto.randomUUID(), revision };
      }
      return call(input, open.current.requestId);
    },
    onSuccess: (output) => {
      open.current = undefined;
      onDone?.(output);
    },
    onError: (error) => {
      if (!isOutcomeUnknown(error)) {
        open.current = undefined;
      }
    },
    onSettled: lookAgain,
    // What was sent may hold a value: nothing keeps it once the call has ended.
    gcTime: 0,
  });
}

/** Whether the service may have done it all the same. */
function isOutcomeUnknown(error: Error): boolean {
  return (
    error instanceof UnavailableError || error instanceof DeadlineExceededError || error instanceof UnauthenticatedError
  );
}
