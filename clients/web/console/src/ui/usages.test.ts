import { create } from "@bufbuild/protobuf";
import { Origin, State } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { inOrder, isKnownToBeThere, namedBy, problemOfUsage } from "./usages";

const usage = (resource: string, more: object = {}) =>
  create(SecretUsageSchema, { syncedSecret: "syncedSecrets/edp1secrets", kind: "Device", resource, field: "spec.x", ...more });

test("what is broken comes first, what is guessed last", () => {
  const usages = [usage("guessed", { guessed: true }), usage("well"), usage("broken", { keyMissing: true })];
  expect(inOrder(usages).map(({ resource }) => resource)).toEqual(["broken", "well", "guessed"]);
});

test("the text of a field names the key, or the whole", () => {
  expect(namedBy(usage("one", { key: "username" }))).toBe("edp1secrets/username");
  expect(namedBy(usage("one"))).toBe("edp1secrets");
});

test("a broken field says what is missing", () => {
  expect(problemOfUsage(usage("one"))).toBe("");
  expect(problemOfUsage(usage("one", { key: "username", keyMissing: true }))).toMatch(/^It has no key username/);
  expect(problemOfUsage(usage("one", { secretMissing: true, keyMissing: true }))).toMatch(/^The edge has no Secret edp1secrets/);
});

test("what nobody looked at is not known to be there", () => {
  const isThere = (more: object = {}, named: object = {}): boolean => {
    const secret = create(SyncedSecretSchema, { origin: Origin.MANAGED, state: State.SYNCED, references: [{ key: "username" }], ...more });
    return isKnownToBeThere(usage("one", { key: "username", ...named }), new Map([["syncedSecrets/edp1secrets", secret]]));
  };
  expect(isThere()).toBe(true);
  expect(isThere({ origin: Origin.UNMANAGED })).toBe(false);
  expect(isThere({ state: State.PENDING })).toBe(false);
  expect(isThere({ references: [] })).toBe(false);
  expect(isThere({}, { keyMissing: true })).toBe(false);
  expect(isThere({}, { guessed: true })).toBe(false);
  expect(isThere({}, { syncedSecret: "syncedSecrets/other" })).toBe(false);
});
