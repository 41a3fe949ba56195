import {
  AbortedError,
  AlreadyExistsError,
  Code,
  DeadlineExceededError,
  UnauthenticatedError,
  UnavailableError,
} from "@iotoperations/secret-service-client";
import { QueryClient, QueryClientProvider, QueryObserver } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";

import { NotifyContext } from "../ui/notify";
import { isOutcomeUnknown, useChange } from "./change";

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
  const [onDone, after, failed] = [vi.fn(), vi.fn(), vi.fn()];
  const around = ({ children }: { children: ReactNode }): ReactNode => (
    <NotifyContext value={{ done: vi.fn(), failed }}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </NotifyContext>
  );
  const { result, unmount } = renderHook(() => useChange(call, { onDone, after }), { wrapper: around });
  const press = async (revision?: number): Promise<void> => {
    await act(() => result.current.mutateAsync(revision === undefined ? undefined : { revision }).catch(() => undefined));
  };
  return { ids, press, onDone, after, failed, queries, result, unmount };
}

const unavailable = new UnavailableError(failure(Code.Unavailable));
const UNKNOWN: readonly (readonly [string, Error])[] = [
  ["unavailable", unavailable],
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

test("a refusal after an attempt that nobody knows of does not end the request", async () => {
  const inProgress = new AbortedError({ ...failure(Code.Aborted), reason: "REQUEST_IN_PROGRESS" });
  const { ids, press } = changing(unavailable, inProgress, new AlreadyExistsError(failure(Code.AlreadyExists)));
  await press(1);
  await press(1);
  await press(1);
  await press(1);
  expect(new Set(ids).size).toBe(1);
});

test("what is still being done may yet be made, what is refused is not", () => {
  expect(isOutcomeUnknown(unavailable)).toBe(true);
  expect(isOutcomeUnknown(new AbortedError({ ...failure(Code.Aborted), reason: "REQUEST_IN_PROGRESS" }))).toBe(true);
  expect(isOutcomeUnknown(new AlreadyExistsError(failure(Code.AlreadyExists)))).toBe(false);
});

test("a change ends with its answer, not with what is read again after it", async () => {
  const { press, queries, result } = changing();
  const reading = new QueryObserver(queries, { queryKey: ["slow"], queryFn: () => new Promise(() => undefined), initialData: 1 });
  const stop = reading.subscribe(() => undefined);
  await press(1);
  await vi.waitFor(() => expect(result.current.isPending).toBe(false));
  expect(queries.isFetching()).toBe(1);
  stop();
});

test("what was made is told with what was asked for, and goes on only where it was asked", async () => {
  const { press, onDone, after } = changing("first");
  await press(1);
  expect(onDone).toHaveBeenCalledWith("first", { revision: 1 });
  expect(after).toHaveBeenCalledWith("first", { revision: 1 });
});

test("whoever has gone on is told how it ended, and is not taken back", async () => {
  const { result, unmount, onDone, after, failed } = changing("made", unavailable);
  const made = result.current.mutateAsync({ revision: 1 });
  const fails = result.current.mutateAsync({ revision: 2 });
  unmount();
  await made;
  await expect(fails).rejects.toBe(unavailable);
  expect(onDone).toHaveBeenCalledTimes(1);
  expect(after).not.toHaveBeenCalled();
  expect(failed).toHaveBeenCalledWith(unavailable);
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
