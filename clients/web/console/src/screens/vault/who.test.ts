import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SyncedSecretSchema, VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { atEdge, latestOf, newestFirst, referrersOf, syncedByOf, syncersOf } from "./who";

const pump = create(SyncedSecretSchema, {
  name: "syncedSecrets/pump-7",
  references: [
    { key: "password", vaultSecret: "vaultSecrets/Pass", syncedVersion: "old" },
    { key: "username", vaultSecret: "vaultSecrets/user", syncedVersion: "u1" },
  ],
});
const oven = create(SyncedSecretSchema, {
  name: "syncedSecrets/oven",
  references: [{ key: "p", vaultSecret: "vaultSecrets/pass", version: "old", syncedVersion: "old" }],
});
const at = (text: string) => timestampFromDate(new Date(text));
const version = (id: string, time: string) =>
  create(VaultSecretVersionSchema, { name: `vaultSecrets/pass/versions/${id}`, createTime: at(time) });
const versions = [version("old", "2026-01-01T00:00:00Z"), version("new", "2026-02-01T00:00:00Z")];

test("each version says who has it at the edge, and who shall get it", () => {
  const { byVersion, elsewhere } = atEdge(versions, referrersOf("vaultSecrets/pass", [pump, oven]), "new");
  expect(byVersion.get("old")?.here.map(({ id }) => id)).toEqual(["pump-7", "oven"]);
  expect(byVersion.get("new")?.wanted.map(({ id, key }) => `${id}/${key}`)).toEqual(["pump-7/password"]);
  expect(byVersion.get("old")?.wanted).toEqual([]);
  expect(elsewhere).toEqual([]);
  expect(atEdge(versions.slice(1), referrersOf("vaultSecrets/pass", [oven]), "new").elsewhere).toHaveLength(1);
});

test("the latest version is the one of the vault secret's own time, or it can't be told", () => {
  expect(latestOf(versions, { createTime: at("2026-02-01T00:00:00Z") })).toBe("new");
  expect(latestOf([...versions, version("twin", "2026-02-01T00:00:00Z")], { createTime: at("2026-02-01T00:00:00Z") })).toBe("");
  expect(latestOf(versions, { createTime: at("2026-03-01T00:00:00Z") })).toBe("");
  expect(newestFirst(versions).map(({ name }) => name.slice(-3))).toEqual(["new", "old"]);
});

test("who syncs it is as it is watched, and otherwise as the list said", () => {
  const syncedBy = syncedByOf([pump, oven]);
  const byName = new Map([pump, oven].map((secret) => [secret.name, secret]));
  const secret = { name: "vaultSecrets/pass", syncedSecrets: ["syncedSecrets/hidden"] };
  expect(syncersOf(secret, syncedBy, { status: "live", byName })).toEqual(["hidden", "oven", "pump-7"]);
  expect(syncersOf(secret, syncedBy, { status: "interrupted", byName })).toEqual(["hidden"]);
  const gone = { name: "vaultSecrets/other", syncedSecrets: ["syncedSecrets/oven"] };
  expect(syncersOf(gone, syncedBy, { status: "live", byName })).toEqual([]);
});
