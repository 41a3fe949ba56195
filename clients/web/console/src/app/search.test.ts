import { expect, test } from "vitest";

import { auditSearch, certificatesSearch, createSearch, secretsSearch, vaultSearch, usesSearch } from "./search";

test("a filter of secrets is what stands in the address", () => {
  const search = { search: "pump", state: ["failed", "degraded"], origin: "unmanaged", usedBy: "Device/camera-7", expiring: true, stale: true, sort: "-name" };
  expect(secretsSearch(search)).toEqual({ ...search, state: ["degraded", "failed"] });
  expect(secretsSearch({ state: "pending" })).toEqual({ state: ["pending"] });
});

test("what is not as it should be counts as left out", () => {
  expect(secretsSearch({ state: ["gone", 7], origin: "elsewhere", expiring: "yes", search: "", usedBy: { kind: "Device" } })).toEqual({});
  expect(secretsSearch({ state: { failed: true } })).toEqual({});
  expect(vaultSearch({ unsynced: "true", search: null })).toEqual({});
  expect(createSearch({ purpose: ["kafka"], vaultSecret: undefined })).toEqual({});
});

test("a search that looks like a number is a text", () => {
  expect(secretsSearch({ search: 7 })).toEqual({ search: "7" });
  expect(vaultSearch({ search: true })).toEqual({ search: "true" });
  expect(createSearch({ vaultSecret: 42 })).toEqual({ vaultSecret: ["42"] });
});

test("a span of the audit is the latest hours, or from a time until a time", () => {
  expect(auditSearch({ hours: 24 })).toEqual({ hours: 24 });
  expect(auditSearch({ hours: 24, from: "2026-11-27T20:00:00Z" })).toEqual({ hours: 24 });
  expect(auditSearch({ from: "2026-11-27T21:00:00+01:00", until: "2026-11-28" })).toEqual({
    from: "2026-11-27T20:00:00.000Z",
    until: "2026-11-28T00:00:00.000Z",
  });
  expect(auditSearch({ hours: -1, from: "yesterday", until: 5 })).toEqual({});
  expect(auditSearch({ hours: Infinity })).toEqual({});
  expect(auditSearch({ hours: 3_000_000_000 })).toEqual({});
  expect(auditSearch({ from: "+010000-01-01T00:00:00Z", until: "0000-12-31T23:59:59Z" })).toEqual({});
});

test("an outcome of the audit counts more than that it failed", () => {
  expect(auditSearch({ failed: true })).toEqual({ failed: true });
  expect(auditSearch({ failed: true, outcome: "NOT_FOUND" })).toEqual({ outcome: "NOT_FOUND" });
  expect(auditSearch({ failed: "true" })).toEqual({});
});


test("a new synced secret begins with one vault secret or with several, each once", () => {
  expect(createSearch({ vaultSecret: "pump-7" })).toEqual({ vaultSecret: ["pump-7"] });
  expect(createSearch({ vaultSecret: ["pump-7", "pump-8", "pump-7", ""] })).toEqual({ vaultSecret: ["pump-7", "pump-8"] });
  expect(createSearch({ vaultSecret: 7 })).toEqual({ vaultSecret: ["7"] });
  expect(createSearch({ vaultSecret: [] })).toEqual({});
});

test("a kind of list that there is not counts as left out", () => {
  expect(certificatesSearch({ kind: "issuer", list: "plant-list" })).toEqual({ kind: "issuer", list: "plant-list" });
  expect(certificatesSearch({ kind: "none", expiring: "yes" })).toEqual({});
});

test("uses are searched and narrowed to the broken ones by the address", () => {
  expect(usesSearch({ search: "opc", broken: true })).toEqual({ search: "opc", broken: true });
  expect(usesSearch({ search: "", broken: "yes" })).toEqual({});
});
