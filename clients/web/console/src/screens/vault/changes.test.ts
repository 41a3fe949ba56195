import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { attributesOf, changesOf, conflictsOf, flagsOf, pathsOf, rebased } from "./changes";

const held = {
  contentType: "text/plain",
  expireTime: timestampFromDate(new Date("2027-01-01T10:00:30Z")),
  tags: { line: "4", plant: "Hamburg", "secret-service": "id" },
};

test("only what is another than before is sent", () => {
  const before = attributesOf(held);
  expect(before.tags).toEqual({ line: "4", plant: "Hamburg" });
  expect(changesOf(held, before)).toEqual({});
  // A field for minutes takes the seconds away; that alone is no change.
  expect(changesOf(held, { ...before, expireTime: new Date("2027-01-01T10:00:00Z") })).toEqual({});
  expect(changesOf(held, { ...before, expireTime: undefined })).toEqual({});
  const changed = changesOf(held, { ...before, contentType: "", tags: { plant: "Hamburg", line: "5" } });
  expect(changed).toEqual({ contentType: "", tags: { plant: "Hamburg", line: "5" } });
  expect(pathsOf(changed)).toEqual(["content_type", "tags"]);
});

test("the flags say the same as the request", () => {
  const flags = flagsOf(held, { notBeforeTime: new Date("2026-12-01T00:00:00Z"), tags: { line: "5", shift: "a" } });
  expect(flags).toEqual(["--not-before", "2026-12-01T00:00:00.000Z", "--tag", "line=5", "--tag", "shift=a", "--remove-tag", "plant"]);
});

test("what somebody else changed meanwhile stays, tag by tag", () => {
  const after = { ...attributesOf(held), tags: { line: "5", plant: "Hamburg" } };
  const now = { ...held, contentType: "text/csv", tags: { line: "4", plant: "Hamburg", owner: "anna" } };
  expect(rebased(held, after, now)).toEqual({ ...attributesOf(now), tags: { line: "5", plant: "Hamburg", owner: "anna" } });
  expect(conflictsOf(held, after, now)).toEqual([]);
  expect(changesOf(now, rebased(held, after, now))).toEqual({ tags: { line: "5", plant: "Hamburg", owner: "anna" } });
  // What they took away, and what is taken away here.
  const { tags } = rebased(held, { ...after, tags: { line: "4" } }, { ...held, tags: { plant: "Hamburg", owner: "anna" } });
  expect(tags).toEqual({ owner: "anna" });
});

test("what both changed is told, unless both want the same", () => {
  const after = { ...attributesOf(held), contentType: "text/csv", expireTime: new Date("2028-01-01T00:00:00Z"), tags: { line: "5", plant: "Hamburg" } };
  const now = { ...held, contentType: "text/html", expireTime: timestampFromDate(new Date("2029-01-01T00:00:00Z")), tags: { line: "6" } };
  expect(conflictsOf(held, after, now)).toEqual(["content type “text/html”", "expiration date 2029-01-01T00:00:00.000Z", "tag “line=6”"]);
  const same = { ...held, contentType: "text/csv", expireTime: timestampFromDate(new Date("2028-01-01T00:00:00Z")), tags: { line: "5" } };
  expect(conflictsOf(held, after, same)).toEqual([]);
});
