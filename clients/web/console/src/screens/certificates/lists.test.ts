import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SecretPurposeSchema, SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { entriesOf, found, isAt, listsOf, validityOfEntry } from "./lists";
import { keyOf, purposeOf, vaultSecretOf } from "./names";

const secret = (id: string, references: MessageInitShape<typeof SyncedSecretSchema>["references"]) =>
  create(SyncedSecretSchema, { name: `syncedSecrets/${id}`, references: references ?? [] });
const purposes = [
  create(SecretPurposeSchema, {
    id: "trust-list",
    fields: [{ kind: "Device", field: "spec.endpoints.inbound.*.trustSettings.trustList" }],
  }),
];

test("a list is known by what uses it, by its name, and by what it holds", () => {
  const secrets = [
    secret("plant-9", [{ key: "ca.pem" }]),
    secret("my-issuer-list", [{ key: "ca" }]),
    secret("hub", [{ key: "client_cert.pem" }, { key: "password" }]),
    secret("pump-7", [{ key: "password" }]),
  ];
  const usage = create(SecretUsageSchema, {
    kind: "Device",
    field: "spec.endpoints.inbound.opc-1.trustSettings.trustList",
    syncedSecret: "syncedSecrets/plant-9",
  });
  const lists = listsOf(secrets, [usage], purposes);
  expect(lists.map(({ id, kind, secret: held }) => [id, kind, held !== undefined])).toEqual([
    ["aio-opc-ua-broker-trust-list", "trust", false],
    ["plant-9", "trust", true],
    ["aio-opc-ua-broker-issuer-list", "issuer", false],
    ["my-issuer-list", "issuer", true],
    ["hub", "other", true],
  ]);
  expect(entriesOf(lists).map(({ id }) => id)).toEqual(["plant-9/ca.pem", "my-issuer-list/ca", "hub/client_cert.pem"]);
});

test("a list that a resource names is shown before it is made", () => {
  const usage = create(SecretUsageSchema, {
    kind: "Device",
    field: "spec.endpoints.inbound.a.trustSettings.trustList",
    syncedSecret: "syncedSecrets/line-4",
  });
  expect(listsOf([], [usage], purposes).find(({ id }) => id === "line-4")).toEqual({ id: "line-4", kind: "trust", secret: undefined });
});

test("a pattern means one field, any item, or everything below", () => {
  expect(isAt("spec.a.b", "spec.*.b")).toBe(true);
  expect(isAt("spec.a.c.b", "spec.*.b")).toBe(false);
  expect(isAt("spec.a[12].b", "spec.a[*].b")).toBe(true);
  expect(isAt("spec.a.b[0].c.d", "spec.**.d")).toBe(true);
  expect(isAt("specXaXb", "spec.a.b")).toBe(false);
});

test("entries are found by what a certificate says, and by what ends soon", () => {
  const now = new Date("2026-11-27T12:00:00Z");
  const until = (text: string) => timestampFromDate(new Date(text));
  const lists = listsOf(
    [
      secret("a-trust-list", [
        { key: "old.der", certificate: { subject: "CN=old", sha1Thumbprint: "AB12", expireTime: until("2026-11-01T00:00:00Z") } },
        { key: "soon.der", certificate: { subject: "CN=soon", expireTime: until("2026-12-20T00:00:00Z") } },
        { key: "good.der", certificate: { subject: "CN=good", expireTime: until("2028-01-01T00:00:00Z") } },
        { key: "version.der", expireTime: until("2026-12-01T00:00:00Z"), certificate: { expireTime: until("2028-01-01T00:00:00Z") } },
      ]),
    ],
    [],
    [],
  );
  const keys = (search: Parameters<typeof found>[1]) => found(entriesOf(lists), search, now).map(({ reference }) => reference.key);
  expect(keys({ search: "ab12" })).toEqual(["old.der"]);
  expect(keys({ search: "CN= good" })).toEqual(["good.der"]);
  expect(keys({ expiring: true })).toEqual(["old.der", "soon.der", "version.der"]);
  expect(keys({ kind: "issuer" })).toEqual([]);
});

test("names are those of the command line", () => {
  expect(vaultSecretOf("plant.list", "pump_7.der")).toBe("plant-list-pump-7-der");
  expect(vaultSecretOf("a".repeat(200), "x.der")).toBe("a".repeat(127));
  expect(purposeOf("aio-opc-ua-broker-trust-list")).toBe("trust-list");
  expect(purposeOf("pump-7")).toBe("");
  expect(keyOf("Pump 7 (new).cer")).toBe("Pump-7-new-.crt");
});

test("a revocation list is news once the next one is overdue, its version in the vault before it ends", () => {
  const now = new Date("2026-11-28T00:00:00Z");
  const inDays = (days: number) => timestampFromDate(new Date(now.getTime() + days * 86_400_000));
  const kindOf = (revocationList: boolean, next: number, stored?: number) => {
    const reference = { key: "ca.crl", certificate: { revocationList, expireTime: inDays(next) }, ...(stored !== undefined && { expireTime: inDays(stored) }) };
    const [entry] = entriesOf(listsOf([secret("my-issuer-list", [reference])], [], purposes));
    return entry && validityOfEntry(entry, now).kind;
  };
  expect(kindOf(false, 5)).toBe("soon");
  expect(kindOf(true, 5)).toBe("valid");
  expect(kindOf(true, -1)).toBe("expired");
  expect(kindOf(true, 5, 5)).toBe("soon");
});
