import { ConditionStatus } from "@iotoperations/secret-service-client";
import { CheckedResourceSchema, SecretUsageSchema } from "@iotoperations/secret-service-client/v1";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { canBeVaultSecret, matching, problemOf, resourcesOf, textOf } from "./resources";
import { verdictOf } from "./verdict";

function usage(resource: string, field: string, more: MessageInitShape<typeof SecretUsageSchema> = {}) {
  return create(SecretUsageSchema, { apiVersion: "g/v1", kind: "Device", namespace: "n", resource, field, syncedSecret: "syncedSecrets/s", ...more });
}

const RESOURCES = resourcesOf([
  usage("b", "spec.user", { key: "username" }),
  usage("b", "spec.password", { key: "password", keyMissing: true }),
  usage("a", "spec.trustList"),
  usage("c", "spec.x", { syncedSecret: "syncedSecrets/gone", secretMissing: true }),
  usage("a", "spec.x", { namespace: "other" }),
]);

test("fields are grouped by resource, those that can't work first, and in each the broken fields first", () => {
  expect(RESOURCES.map(({ id, broken }) => `${id} ${broken}`)).toEqual(["g/v1/Device/n/b 1", "g/v1/Device/n/c 1", "g/v1/Device/n/a 0", "g/v1/Device/other/a 0"]);
  expect(RESOURCES[0]?.usages.map(({ field }) => field)).toEqual(["spec.password", "spec.user"]);
});

test("a search finds resources by their names, fields, secrets and keys", () => {
  const found = (search: string, broken = false) => matching(RESOURCES, { search, broken }).map(({ name }) => name).join(" ");
  expect(found("GONE")).toBe("c");
  expect(found("s/username")).toBe("b");
  expect(found("device trustlist")).toBe("a");
  expect(found("", true)).toBe("b c");
  expect(found("trustlist", true)).toBe("");
});

test("the text names the key where the field does, and not where a field beside it does", () => {
  expect(textOf(usage("a", "spec.usernameSecretName", { key: "username" }))).toBe("s/username");
  expect(textOf(usage("a", "spec.trustList"))).toBe("s");
  expect(textOf(usage("a", "spec.secrets[0].secretRef", { key: "token" }))).toBe("s");
  expect(textOf(usage("a", "spec.env[0].valueFrom.secretKeyRef.name", { key: "token" }))).toBe("s");
});

test("a broken field says what is missing where", () => {
  expect(problemOf(usage("a", "spec.x", { secretMissing: true }))).toBe("The edge has no Secret s, so a can't work.");
  expect(problemOf(usage("a", "spec.x", { key: "username", keyMissing: true }))).toMatch(/^s has no key username,/);
  expect(problemOf(usage("a", "spec.x", { keyMissing: true }))).toMatch(/^s lacks a key/);
});

test("only what can be a name in the vault is looked for there", () => {
  expect(canBeVaultSecret("edp1-password")).toBe(true);
  expect(canBeVaultSecret("press.trust")).toBe(false);
});

test("a verdict is the worst that is known, and what nobody can tell is not fine", () => {
  const verdict = (more: MessageInitShape<typeof CheckedResourceSchema>) => verdictOf(create(CheckedResourceSchema, more)).look;
  const problem = (status: ConditionStatus) => ({ problem: { type: "Usable", status } });
  expect(verdict({})).toBe("fine");
  expect(verdict({ usages: [{}, problem(ConditionStatus.TRUE)] })).toBe("limited");
  expect(verdict({ usages: [problem(ConditionStatus.TRUE), problem(ConditionStatus.UNKNOWN)] })).toBe("unknown");
  expect(verdict({ kindUnknown: true })).toBe("unknown");
  expect(verdict({ usages: [problem(ConditionStatus.UNKNOWN)], problems: [{ status: ConditionStatus.FALSE }] })).toBe("broken");
});
