import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Encoding, Part } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { chosen } from "./choice";
import { moved } from "./vault-list";
import { factsOf, mayHoldCertificate, PARTS, pickedReferenceOf, validityOf, wordsOfPart } from "./vault-pick";

const now = Date.parse("2026-11-27T12:00Z");
const at = (text: string) => timestampFromDate(new Date(text));

test("what can't be used is told before what can't be used for long", () => {
  expect(validityOf({ enabled: true }, now)).toBe("valid");
  expect(validityOf({ enabled: false, expireTime: at("2020-01-01") }, now)).toBe("disabled");
  expect(validityOf({ enabled: true, expireTime: at("2026-11-26") }, now)).toBe("expired");
  expect(validityOf({ enabled: true, expireTime: at("2026-12-05") }, now)).toBe("soon");
  expect(validityOf({ enabled: true, notBeforeTime: at("2026-11-28") }, now)).toBe("not-yet");
});

test("a pick becomes a reference that says no more than was chosen", () => {
  const pick = { vaultSecret: "vaultSecrets/p", version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED };
  expect(pickedReferenceOf("password", pick)).toEqual({ key: "password", vaultSecret: "vaultSecrets/p" });
  expect(pickedReferenceOf("c", { ...pick, version: "v", part: Part.CHAIN, encoding: Encoding.HEX })).toEqual({
    key: "c",
    vaultSecret: "vaultSecrets/p",
    version: "v",
    part: Part.CHAIN,
    encoding: Encoding.HEX,
  });
});

test("a text is no certificate, and what says nothing may be one", () => {
  expect(mayHoldCertificate({ contentType: "text/plain" })).toBe(false);
  expect(mayHoldCertificate({ contentType: "" })).toBe(true);
  expect(mayHoldCertificate({ contentType: "text/plain", managed: true })).toBe(true);
});

test("facts are those of the synced secret that has it at the edge", () => {
  const certificate = { subject: "CN=pump" };
  const secret = create(SyncedSecretSchema, {
    name: "syncedSecrets/s",
    references: [{ key: "a", vaultSecret: "vaultSecrets/x" }, { key: "b", vaultSecret: "vaultSecrets/p", syncedVersion: "1", certificate }],
  });
  expect(factsOf("vaultSecrets/p", [secret])).toMatchObject({ facts: certificate, syncedSecret: "syncedSecrets/s", version: "1" });
  expect(factsOf("vaultSecrets/x", [secret])).toBeUndefined();
});

test("arrows stay within the list", () => {
  expect(moved("ArrowDown", 0, 3)).toBe(1);
  expect(moved("ArrowUp", 0, 3)).toBe(0);
  expect(moved("End", 0, 3)).toBe(2);
  expect(moved("PageDown", 0, 3)).toBe(2);
  expect(moved("a", 0, 3)).toBeUndefined();
  expect(moved("ArrowDown", 0, 0)).toBeUndefined();
});

test("a choice is what its text stands for", () => {
  expect(chosen(PARTS, String(Part.PFX))).toBe(Part.PFX);
  expect(chosen(PARTS, "?")).toBe(Part.UNSPECIFIED);
  expect(wordsOfPart(Part.UNSPECIFIED)).toBe("");
});
