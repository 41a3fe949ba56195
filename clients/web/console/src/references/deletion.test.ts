import { create } from "@bufbuild/protobuf";
import { Code, ConditionStatus, FailedPreconditionError, InUseError, Origin, PermissionDeniedError, State } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { candidates, isRefusedForUse, usersOf, wordsOfVerdict } from "./deletion";

const UNUSED = { type: "InUse", status: ConditionStatus.FALSE, message: "No resource uses it." };
const secret = (id: string, more: object = {}) =>
  create(SyncedSecretSchema, {
    name: `syncedSecrets/${id}`,
    state: State.SYNCED,
    origin: Origin.MANAGED,
    conditions: [UNUSED],
    ...more,
  });
const usage = (id: string, resource: string) =>
  create(SecretUsageSchema, { syncedSecret: `syncedSecrets/${id}`, kind: "AssetEndpointProfile", resource, field: "spec.x" });

test("only what nothing uses, what is ours and what stays otherwise is free to go", () => {
  const found = candidates(
    [
      secret("free"),
      secret("used"),
      secret("foreign", { origin: Origin.UNMANAGED }),
      secret("leaving", { state: State.DELETING }),
    ],
    [usage("used", "opc-plc-1"), usage("foreign", "opc-plc-1")],
  );
  expect(found.map(({ verdict }) => verdict)).toEqual(["free", "used", "foreign", "leaving"]);
  expect(found.map(wordsOfVerdict)).toEqual([
    "Nothing uses it.",
    "Stays: used by AssetEndpointProfile opc-plc-1.",
    "Stays: another tool made it. Delete it there, or adopt it first.",
    "Is being deleted already.",
  ]);
});

test("users are named once each, and not endlessly", () => {
  expect(usersOf([usage("a", "one"), usage("a", "one")])).toBe("AssetEndpointProfile one");
  expect(usersOf([usage("a", "one"), usage("a", "two")])).toBe("AssetEndpointProfile one and AssetEndpointProfile two");
  expect(usersOf(["one", "two", "three", "four", "five"].map((name) => usage("a", name)))).toMatch(/three and 2 others$/);
});

test("where the service can't look, nothing is said to be unused", () => {
  const message = "Device.namespaces.deviceregistry.microsoft.com can't be listed.";
  const unknown = secret("a", { conditions: [{ type: "InUse", status: ConditionStatus.UNKNOWN, message }] });
  const [found, unlooked] = candidates([unknown, secret("b", { conditions: [] })], []);
  expect([found?.verdict, unlooked?.verdict]).toEqual(["unknown", "unknown"]);
  expect(found && wordsOfVerdict(found)).toBe(`Stays: whether something uses it is not known. ${message}`);
  expect(unlooked && wordsOfVerdict(unlooked)).toMatch(/The service has not looked yet\.$/);
  expect(candidates([unknown], [usage("a", "opc-plc-1")])[0]?.verdict).toBe("used");
});

test("after the service has refused it for its uses, a look that finds none does not free it", () => {
  const [found] = candidates([secret("a")], [], true);
  expect(found?.verdict).toBe("unknown");
  expect(found && wordsOfVerdict(found)).toMatch(/has refused to delete it/);
  const failure = { message: "no", code: Code.FailedPrecondition };
  expect(isRefusedForUse(new InUseError(failure))).toBe(true);
  expect(isRefusedForUse(new FailedPreconditionError({ ...failure, reason: "USAGES_UNKNOWN" }))).toBe(true);
  expect(isRefusedForUse(new PermissionDeniedError({ message: "no", code: Code.PermissionDenied }))).toBe(false);
});
