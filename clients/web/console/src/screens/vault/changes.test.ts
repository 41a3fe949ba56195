import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { attributesOf, changesOf, flagsOf, pathsOf } from "./changes";

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
