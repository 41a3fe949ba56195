import { afterEach, expect, test, vi } from "vitest";

import { save, timeInName } from "./save";

afterEach(() => {
  vi.useRealTimers();
});

test("the browser has time to read a file before it is gone", () => {
  vi.useFakeTimers();
  const revoked = vi.spyOn(URL, "revokeObjectURL").mockImplementation(() => undefined);
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:1");
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => undefined);
  save("a.csv", "text/csv", "a");
  expect(revoked).not.toHaveBeenCalled();
  vi.runAllTimers();
  expect(revoked).toHaveBeenCalledWith("blob:1");
});

test("a file's name says a time that every system takes", () => {
  expect(timeInName(new Date("2026-11-27T20:46:30Z"))).toBe("2026-11-27T2046Z");
});
