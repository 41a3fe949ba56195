import { create } from "@bufbuild/protobuf";
import { Origin, State } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { candidates, deletedOf, isOver, toldOf, usersOf, wordsOfVerdict, type Progress } from "./deletion";

const secret = (id: string, more: object = {}) =>
  create(SyncedSecretSchema, { name: `syncedSecrets/${id}`, state: State.SYNCED, origin: Origin.MANAGED, ...more });
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

test("what is on its way out counts as deleted, what failed doesn't", () => {
  const progress = new Map<string, Progress>([
    ["syncedSecrets/a", { step: "gone" }],
    ["syncedSecrets/b", { step: "leaving", held: "" }],
    ["syncedSecrets/c", { step: "failed", error: new Error("in use") }],
  ]);
  expect(deletedOf(progress)).toEqual(["syncedSecrets/a", "syncedSecrets/b"]);
  expect(isOver(progress)).toBe(false);
  expect(toldOf(progress)).toBe("2 synced secrets are being deleted");
  progress.set("syncedSecrets/b", { step: "gone" });
  expect(isOver(progress)).toBe(true);
  expect(toldOf(progress)).toBe("2 synced secrets are deleted");
  expect(toldOf(new Map([["syncedSecrets/a", { step: "gone" }]]))).toBe("a is deleted");
});
