import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { earliest, validityOf } from "./validity";

const now = new Date("2026-11-27T12:00:00Z");
const at = (text: string) => timestampFromDate(new Date(text));

test("what is worst is said", () => {
  expect(validityOf({ enabled: false, expireTime: at("2026-01-01T00:00:00Z") }, now).kind).toBe("disabled");
  expect(validityOf({ notBeforeTime: at("2027-01-01T00:00:00Z"), expireTime: at("2026-11-27T12:00:00Z") }, now).kind).toBe("expired");
  expect(validityOf({ notBeforeTime: at("2027-01-01T00:00:00Z") }, now).kind).toBe("early");
  expect(validityOf({ expireTime: at("2026-12-27T12:00:00Z") }, now)).toEqual({ kind: "soon", label: "Expires soon" });
  expect(validityOf({ expireTime: at("2026-12-27T12:00:01Z") }, now)).toEqual({ kind: "valid", label: "" });
  // A list of revoked certificates is due every few days.
  expect(validityOf({ expireTime: at("2026-11-28T12:00:00Z"), revocationList: true }, now).kind).toBe("valid");
  expect(validityOf({}, now).kind).toBe("valid");
});

test("of two ends, the first one counts", () => {
  const [one, other] = [at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")];
  expect(earliest(other, one)).toBe(one);
  expect(earliest(undefined, other)).toBe(other);
  expect(earliest(undefined, undefined)).toBeUndefined();
});
