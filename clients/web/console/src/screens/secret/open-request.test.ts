import { Code, PermissionDeniedError, StaleError, UnavailableError } from "@iotoperations/secret-service-client";
import { act, renderHook } from "@testing-library/react";
import { expect, test } from "vitest";

import { staysOpen, useOpenRequests } from "./open-request";

const lost = new UnavailableError({ message: "no", code: Code.Unavailable });
const denied = new PermissionDeniedError({ message: "no", code: Code.PermissionDenied });
const stale = new StaleError({ message: "no", code: Code.Aborted });

test("a refusal ends it only where the service has looked whether it was done", () => {
  expect(staysOpen(lost, false)).toBe(true);
  expect(staysOpen(denied, true)).toBe(true);
  expect(staysOpen(denied, false)).toBe(false);
  expect(staysOpen(stale, true)).toBe(false);
});

test("a request is open from the answer that was lost to the next one that says", async () => {
  const { result } = renderHook(() => useOpenRequests<string>());
  const send = (wanted: string, error?: Error): Promise<unknown> =>
    act(() => result.current.send(wanted, () => (error === undefined ? Promise.resolve() : Promise.reject(error))).catch(() => undefined));
  await send("first", lost);
  await send("first", denied);
  await send("second", lost);
  expect(result.current.open).toEqual(["first", "second"]);
  await send("second", stale);
  await send("first");
  expect(result.current.open).toEqual([]);
});
