import { Code, NotFoundError, PermissionDeniedError, UnavailableError } from "@iotoperations/secret-service-client";
import { expect, test } from "vitest";

import { presenceOf } from "./presence";

const notFound = new NotFoundError({ message: "no", code: Code.NotFound });
const denied = new PermissionDeniedError({ message: "no", code: Code.PermissionDenied });
const away = new UnavailableError({ message: "no", code: Code.Unavailable });
const [has, hasNot, wasInterrupted] = [
  { has: true, had: true, isLive: true },
  { has: false, had: false, isLive: true },
  { has: true, had: true, isLive: false },
];
const read = (error: Error | null = null) => ({ wasRead: true, error });
const notRead = (error: Error | null = null) => ({ wasRead: false, error });

test("what could not be looked at is not loading for ever, whatever the watch has", () => {
  expect(presenceOf(notRead(denied), has)).toBe("unknown");
  expect(presenceOf(notRead(away), wasInterrupted)).toBe("unknown");
  expect(presenceOf(notRead(away), hasNot)).toBe("unknown");
  expect(presenceOf(notRead(), has)).toBe("loading");
});

test("what the live watch has is about to be found; what an interrupted one had is no reason to doubt that it is not there", () => {
  expect(presenceOf(notRead(notFound), has)).toBe("loading");
  expect(presenceOf(notRead(notFound), hasNot)).toBe("absent");
  expect(presenceOf(notRead(notFound), wasInterrupted)).toBe("absent");
});

test("what was read is gone when Get or the live watch says so", () => {
  expect(presenceOf(read(notFound), wasInterrupted)).toBe("gone");
  expect(presenceOf(read(notFound), has)).toBe("there");
  expect(presenceOf(read(), { has: false, had: true, isLive: true })).toBe("gone");
  expect(presenceOf(read(), { has: false, had: true, isLive: false })).toBe("there");
  expect(presenceOf(read(), hasNot)).toBe("there");
  expect(presenceOf(read(away), has)).toBe("there");
});
