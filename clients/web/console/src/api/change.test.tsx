import {
  AlreadyExistsError,
  Code,
  DeadlineExceededError,
  UnauthenticatedError,
  UnavailableError,
} from "@iotoperations/secret-service-client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";

import { useChange } from "./change";

const failure = (code: Code) => ({ message: "no", code });

/** A change whose calls end as `outcomes` say, one after the other; an error is thrown. */
function changing(...outcomes: (Error | string)[]) {
  const ids: string[] = [];
  const call = vi.fn((_input: { revision?: number } | undefined, requestId: string) => {
    ids.push(requestId);
    const outcome = outcomes[ids.length - 1] ?? "done";
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  });
  const queries = new QueryClient();
  const around = ({ children }: { children: ReactNode }): ReactNode => <QueryClientProvider client={queries}>{children}</QueryClientProvider>;
  const onDone = vi.fn();
  const { result, unmount } = renderHook(() => useChange(call, { onDone }), { wrapper: around });
  const press = async (revision?: number): Promise<void> => {
    await act(() => result.current.mutateAsync(revision === undefined ? undefined : { revision }).catch(() => undefined));
  };
  return { ids, press, onDone, queries, unmount };
}

const UNKNOWN: readonly (readonly [string, Error])[] = [
  ["unavailable", new UnavailableError(failure(Code.Unavailable))],
  ["too slow", new DeadlineExceededError(failure(Code.DeadlineExceeded))],
  ["unauthenticated meanwhile", new UnauthenticatedError(failure(Code.Unauthenticated))],
];

test.each(UNKNOWN)("after an outcome that nobody knows (%s), the same request is sent again", async (_, unknown) => {
  const { ids, press, onDone } = changing(unknown, unknown);
  await press(1);
  await press(1);
  await press(1);
  expect(new Set(ids).size).toBe(1);
  expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(onDone).toHaveBeenCalledTimes(1);
});

test("after a refusal, the next attempt is another request", async () => {
  const { ids, press } = changing(new AlreadyExistsError(failure(Code.AlreadyExists)));
  await press(1);
  await press(1);
  expect(new Set(ids).size).toBe(2);
});

test("what was changed meanwhile is another request, even if nobody knows how the first ended", async () => {
  const { ids, press } = changing(new UnavailableError(failure(Code.Unavailable)));
  await press(1);
  await press(2);
  expect(new Set(ids).size).toBe(2);
});

test("what is asked for again after it was done is another request", async () => {
  const { ids, press } = changing();
  await press();
  await press();
  expect(new Set(ids).size).toBe(2);
});

test("nothing keeps what was sent once nobody shows how it ended", async () => {
  const { press, queries, unmount } = changing();
  await press(1);
  unmount();
  await vi.waitFor(() => expect(queries.getMutationCache().getAll()).toEqual([]));
});
