import { afterEach, expect, test, vi } from "vitest";

import { filterOf, inputOf, isNarrowed, isoOf, leftOf, wordsOf } from "./span";

const NOW = Date.parse("2026-11-27T21:00:00Z");

afterEach(() => {
  vi.unstubAllEnvs();
});

test("the latest hours end now; a span ends when it says", () => {
  expect(filterOf({ hours: 24, failed: true, actor: "sync" }, NOW)).toEqual({ actor: "sync", failedOnly: true, since: new Date(NOW - 86_400_000) });
  expect(filterOf({ from: "2026-11-01T00:00:00.000Z", until: "2026-11-02T00:00:00.000Z", outcome: "OK" }, NOW)).toEqual({
    since: new Date("2026-11-01T00:00:00Z"),
    until: new Date("2026-11-02T00:00:00Z"),
    outcome: "OK",
  });
  expect(filterOf({}, NOW)).toEqual({});
});

test("an input means a time in the zone that was chosen", () => {
  vi.stubEnv("TZ", "Asia/Kolkata");
  expect(isoOf("2026-11-28T02:30", "local")).toBe("2026-11-27T21:00:00.000Z");
  expect(isoOf("2026-11-27T21:00", "utc")).toBe("2026-11-27T21:00:00.000Z");
  expect(inputOf("2026-11-27T21:00:00.000Z", "local")).toBe("2026-11-28T02:30");
  expect(inputOf("2026-11-27T21:00:00.000Z", "utc")).toBe("2026-11-27T21:00");
  expect([isoOf("", "utc"), isoOf("soon", "local"), inputOf(undefined, "utc")]).toEqual([undefined, undefined, ""]);
});

test("an input that was left as it was keeps the seconds, and the hour that the zone has twice", () => {
  vi.stubEnv("TZ", "Europe/Berlin");
  expect(leftOf("2026-11-27T21:00", "2026-11-27T20:00:42.500Z", "local")).toBe("2026-11-27T20:00:42.500Z");
  for (const iso of ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]) {
    expect(leftOf(inputOf(iso, "local"), iso, "local")).toBe(iso);
  }
  expect(leftOf("2026-11-27T21:01", "2026-11-27T20:00:42.500Z", "local")).toBe("2026-11-27T20:01:00.000Z");
  expect([leftOf("", "2026-11-27T20:00:42.500Z", "local"), leftOf("", undefined, "utc")]).toEqual([undefined, undefined]);
});

test("the command line lists the same", () => {
  expect(wordsOf(filterOf({ resource: "vault", failed: true, hours: 1 }, NOW))).toEqual([
    ...["audit", "list", "--resource", "vault", "--failed", "--since", "2026-11-27T20:00:00.000Z"],
  ]);
  expect(isNarrowed({})).toBe(false);
  expect(isNarrowed({ hours: 1 })).toBe(true);
});
