import { ConditionStatus, Origin, State } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import type { SecretsSearch } from "../../app/search";
import { filtered, isNarrowed, urgencyOf } from "./filter";
import { rowOf, Rows, usersFrom, usersOf, type SecretRow } from "./rows";

const NOW = Date.UTC(2026, 10, 27);
const DAY = 86_400_000;

const user = (kind: string, resource: string) => ({ id: `${kind}/${resource}`, kind, resource });

function secret(id: string, more: MessageInitShape<typeof SyncedSecretSchema> = {}) {
  return create(SyncedSecretSchema, { name: `syncedSecrets/${id}`, state: State.SYNCED, origin: Origin.MANAGED, ...more });
}

function reference(key: string, vaultSecret: string, expires?: number) {
  return { key, vaultSecret: `vaultSecrets/${vaultSecret}`, ...(expires !== undefined && { expireTime: timestampFromMs(expires) }) };
}

const ROWS: readonly SecretRow[] = [
  rowOf(secret("edp1secrets", { references: [reference("username", "plc-user"), reference("password", "plc-pass", NOW + 3 * DAY)] }), [
    user("AssetEndpointProfile", "opc-plc-1"),
  ]),
  rowOf(secret("hub", { state: State.DEGRADED, references: [reference("token", "hub-token", NOW - DAY)] }), []),
  rowOf(secret("portal", { origin: Origin.UNMANAGED, state: State.FAILED }), [user("Device", "press-3")]),
  rowOf(secret("later", { references: [reference("username", "other", NOW + 90 * DAY)] }), undefined),
];

function found(search: SecretsSearch): string {
  return filtered(ROWS, search, NOW)
    .rows.map(({ id }) => id)
    .join(" ");
}

test("without filters everything is shown", () => {
  expect(found({})).toBe("edp1secrets hub portal later");
  expect(found({ sort: "-name" })).toBe("edp1secrets hub portal later");
});

test("a search finds names, keys, vault secrets and users, whatever their case; every word must be there", () => {
  expect(found({ search: "EDP1" })).toBe("edp1secrets");
  expect(found({ search: "username" })).toBe("edp1secrets later");
  expect(found({ search: "hub-tok" })).toBe("hub");
  expect(found({ search: "press-3" })).toBe("portal");
  expect(found({ search: "assetendpointprofile" })).toBe("edp1secrets");
  expect(found({ search: " username  plc " })).toBe("edp1secrets");
  expect(found({ search: "usernameplc" })).toBe("");
});

test("states are one of several, and are counted as if no state were chosen", () => {
  const { rows, states } = filtered(ROWS, { state: ["degraded", "failed"] }, NOW);
  expect(rows.map(({ id }) => id)).toEqual(["hub", "portal"]);
  expect(states).toEqual({ pending: 0, synced: 2, degraded: 1, failed: 1, deleting: 0 });
  expect(filtered(ROWS, { state: ["failed"], search: "username" }, NOW).states).toMatchObject({ synced: 2, failed: 0 });
});

test("every filter must match", () => {
  expect(found({ origin: "unmanaged" })).toBe("portal");
  expect(found({ origin: "managed", state: ["synced"] })).toBe("edp1secrets later");
  expect(found({ vaultSecret: "plc-user" })).toBe("edp1secrets");
  expect(found({ vaultSecret: "plc" })).toBe("");
  expect(found({ expiring: true })).toBe("edp1secrets hub");
});

test("who uses it is exact, and what nobody has looked at is not called unused", () => {
  expect(found({ usedBy: "Device/press-3" })).toBe("portal");
  expect(found({ usedBy: "-" })).toBe("hub");
});

test("what expires is what the overview lists: by its dates, or by the condition where the caller may not see them", () => {
  const expiring = [{ type: "Expiring", status: ConditionStatus.TRUE }];
  const list = { ...reference("crl", "crl"), certificate: { revocationList: true, expireTime: timestampFromMs(NOW + DAY) } };
  const rows = [rowOf(secret("hidden", { conditions: expiring }), []), rowOf(secret("list", { references: [list] }), [])];
  expect(filtered(rows, { expiring: true }, NOW).rows.map(({ id }) => id)).toEqual(["hidden"]);
});

test("not in sync is also what nobody has compared with the vault, and that comes before what is in sync", () => {
  const uncompared = secret("old", { conditions: [{ type: "Compared", status: ConditionStatus.FALSE }] });
  const rows = [...ROWS, rowOf(uncompared, [])];
  expect(filtered(rows, { stale: true }, NOW).rows.map(({ id }) => id)).toEqual(["hub", "portal", "old"]);
  expect(rows.toSorted((one, other) => urgencyOf(one) - urgencyOf(other)).map(({ id }) => id)).toEqual(["portal", "hub", "old", "edp1secrets", "later"]);
});

test("what asks for somebody comes first", () => {
  const order = [...ROWS].sort((one, other) => urgencyOf(one) - urgencyOf(other)).map(({ id }) => id);
  expect(order).toEqual(["portal", "hub", "edp1secrets", "later"]);
});

test("an order alone narrows nothing", () => {
  expect(isNarrowed({ sort: "state" })).toBe(false);
  expect(isNarrowed({ sort: "state", usedBy: "-" })).toBe(true);
});

test("a resource is one user, however many of its fields name the secret", () => {
  const usage = (resource: string, field: string) =>
    create(SecretUsageSchema, { syncedSecret: "syncedSecrets/a", kind: "Device", namespace: "n", resource, field });
  const users = usersOf([usage("one", "spec.user"), usage("one", "spec.password"), usage("two", "spec.user")], NOW);
  expect(users.byName.get("syncedSecrets/a")?.map(({ id }) => id)).toEqual(["Device/one", "Device/two"]);
});

test("where the latest look failed, nobody knows what uses them", () => {
  const look = { data: [], dataUpdatedAt: NOW, unread: [] };
  expect(usersFrom({ ...look, isError: false })).toEqual(usersOf([], NOW));
  expect(usersFrom({ ...look, isError: true })).toBeUndefined();
  expect(usersFrom({ ...look, data: undefined, isError: false })).toBeUndefined();
});

test("where the service can't read every kind, what it found uses one, and what it didn't find is unknown", () => {
  const data = [create(SecretUsageSchema, { syncedSecret: "syncedSecrets/a", kind: "Device", resource: "one" })];
  const users = usersFrom({ data, dataUpdatedAt: NOW, isError: false, unread: ["DataflowEndpoint"] });
  const rows = new Rows().of([secret("a"), secret("b")], users);
  expect(rows.map((row) => row.users?.length)).toEqual([1, undefined]);
});

test("a row is made anew only for what changed, or where other users are known", () => {
  const rows = new Rows();
  const [a, b] = [secret("a"), secret("b")];
  const before = rows.of([a, b], undefined);
  const after = rows.of([a, secret("b", { description: "!" })], undefined);
  expect(after[0]).toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
  expect(before[0]?.users).toBeUndefined();
  expect(rows.of([a, b], usersOf([], NOW))[0]?.users).toEqual([]);
});

test("nobody has looked yet for what uses one that was made after the look", () => {
  const made = (at: number) => secret("a", { createTime: timestampFromMs(at) });
  const usersAt = (at: number) => new Rows().of([made(at)], usersOf([], NOW))[0]?.users;
  expect(usersAt(NOW - 1)).toEqual([]);
  expect(usersAt(NOW + 1)).toBeUndefined();
});
