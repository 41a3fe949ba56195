import { create } from "@bufbuild/protobuf";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { reachOf, standingOf, unseenOf, wordsOfReach } from "./reach";
import { referrersOf } from "./who";

const pump = create(SyncedSecretSchema, { name: "syncedSecrets/pump-7", references: [{ key: "password", vaultSecret: "vaultSecrets/pass" }] });
const oven = create(SyncedSecretSchema, { name: "syncedSecrets/oven", references: [{ key: "p", vaultSecret: "vaultSecrets/pass", version: "old" }] });
const referrers = referrersOf("vaultSecrets/pass", [pump, oven]);

test("a change of a version reaches what is pinned to it, and of the latest what follows", () => {
  expect(reachOf("old", "older", referrers, [])).toEqual({ certain: ["oven"], perhaps: [] });
  expect(reachOf("new", "latest", referrers, [])).toEqual({ certain: ["pump-7"], perhaps: [] });
});

test("where nobody knows which version is the latest, it may reach all that follow", () => {
  expect(standingOf("new", "")).toBe("unknown");
  expect(reachOf("new", "unknown", referrers, [])).toEqual({ certain: [], perhaps: ["pump-7"] });
});

test("what the service names and the page doesn't see counts as perhaps", () => {
  const told = { syncedSecrets: ["syncedSecrets/pump-7", "syncedSecrets/hidden", "syncedSecrets/left"] };
  const left = create(SyncedSecretSchema, { name: "syncedSecrets/left" });
  const byName = new Map([pump, oven, left].map((secret) => [secret.name, secret]));
  expect(unseenOf(told, referrers, { status: "live", byName })).toEqual(["hidden"]);
  expect(unseenOf(told, referrers, { status: "interrupted", byName })).toEqual(["hidden", "left"]);
  expect(unseenOf(told, [], { status: "failed", byName: new Map() })).toEqual(["hidden", "left", "pump-7"]);
  expect(reachOf("old", "older", referrers, ["hidden"])).toEqual({ certain: ["oven"], perhaps: ["hidden"] });
});

test("that nobody refers to it is said only where everything is seen", () => {
  const nobody = { certain: [], perhaps: [] };
  expect(wordsOfReach(nobody, "live")).toEqual(["No synced secret refers to it."]);
  for (const status of ["loading", "failed", "interrupted"] as const) {
    expect(wordsOfReach(nobody, status).join(" ")).toContain("not known");
    expect(wordsOfReach({ certain: ["oven"], perhaps: [] }, status).join(" ")).toMatch(/^It reaches oven\. .*not known/);
  }
  expect(wordsOfReach({ certain: [], perhaps: ["hidden"] }, "live")).toEqual(["It may reach hidden: whether they follow this version is not known."]);
});
