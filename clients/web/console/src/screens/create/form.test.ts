import { create } from "@bufbuild/protobuf";
import { Code, Encoding, InvalidRequestError, Part, SecretValue } from "@iotoperations/secret-service-client";
import { SecretPurposeSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { newDraft, type Source } from "../../references/draft-reference";
import { labelsOf, missingIn, pastesOf, problemsIn, requestOf, revisionOf, wordsOfCheck, wordsOfCommand, type Form } from "./form";

const purpose = create(SecretPurposeSchema, {
  id: "device-credentials",
  keys: [
    { key: "username", title: "Username reference", required: true, freeName: true },
    { key: "password", title: "Password reference", required: true, freeName: true },
  ],
  fields: [
    { kind: "Device", field: "spec.u", key: "username" },
    { kind: "Device", field: "spec.p", key: "password" },
  ],
});
const created: Source = { kind: "new", draft: { vaultSecret: "edp1-user", value: new SecretValue("hunter2"), kind: "text", size: 7, revision: "r1" } };
const picked: Source = {
  kind: "existing",
  pick: { vaultSecret: "vaultSecrets/edp1-cert", version: "0123", part: Part.PRIVATE_KEY, encoding: Encoding.BASE64 },
};
const form: Form = {
  purpose: "device-credentials",
  references: [newDraft("user", created, "username"), newDraft("password", picked, "password")],
  name: "edp1secrets",
  description: "",
  labels: "line=3",
  secretType: "",
};

test("a form that lacks something says what, and one that lacks nothing is silent", () => {
  expect(missingIn(form, purpose, false)).toEqual([]);
  expect(missingIn(form, purpose, true)).toEqual(["Synced secret name: A synced secret has this name."]);
  const half = { ...form, references: form.references.slice(0, 1), name: "Edp1" };
  expect(missingIn(half, purpose, false).map((one) => one.split(":")[0])).toEqual(["Password reference", "Synced secret name"]);
  const nothing = { ...form, purpose: undefined, references: [], labels: "x" };
  expect(missingIn(nothing, undefined, false)).toEqual([
    "Choose what it is for.",
    "Add at least one reference.",
    expect.stringContaining("Labels"),
  ]);
  const doubled = { ...form, references: form.references.map((one) => ({ ...one, key: "same" })) };
  expect(missingIn(doubled, purpose, false)).toHaveLength(2);
});

test("labels are lines", () => {
  expect(labelsOf("line=3\n\nsite = north ")).toEqual({ labels: { line: "3", site: "north" } });
  expect(labelsOf("line").problem).toBeDefined();
  expect(labelsOf("a=b=c").problem).toBeDefined();
});

test("what the service says of a field stands at that field", () => {
  const error = new InvalidRequestError({
    message: "…",
    code: Code.InvalidArgument,
    fieldViolations: [
      { field: "synced_secret.references[1].key", description: "Does not fit" },
      { field: "synced_secret.references[1].key", description: "Is too long." },
      { field: "synced_secret.references[0].create.value", description: "Is required" },
      { field: "synced_secret.references[0].vault_secret", description: "Is taken" },
      { field: "synced_secret.references[7].key", description: "Is of no reference" },
      { field: "synced_secret.references", description: "Must have the key" },
      { field: "synced_secret_id", description: "Is taken" },
      { field: "synced_secret.labels", description: "Is no label" },
    ],
  });
  const problems = problemsIn(error, form);
  const [first, second] = form.references.map(({ id }) => problems.references.get(id));
  expect(second).toEqual({ key: "Does not fit. Is too long." });
  expect(first).toEqual({ source: "Is required. Is taken." });
  expect(problems).toMatchObject({ name: "Is taken.", labels: "Is no label.", rest: ["Is of no reference", "Must have the key"] });
  expect(problemsIn(new Error("x"), form).references.size).toBe(0);
});

test("the same content is the same request, another value is another, and neither has a value in it", () => {
  expect(revisionOf({ ...form })).toBe(revisionOf(form));
  const other = { ...created, draft: { ...created.draft, revision: "r2" } };
  expect(revisionOf({ ...form, references: [newDraft("user", other, "username")] })).not.toBe(
    revisionOf({ ...form, references: [newDraft("user", created, "username")] }),
  );
  expect(JSON.stringify([revisionOf(form), requestOf(form), wordsOfCommand(form)])).not.toContain("hunter2");
});

test("the command does what the form does", () => {
  expect(wordsOfCommand(form).join(" ")).toBe(
    "secrets create edp1secrets --new user=edp1-user --from password=edp1-cert@0123 --part password=private-key --encoding password=base64 --purpose device-credentials --label line=3",
  );
  expect(requestOf(form)).toMatchObject({
    syncedSecretId: "edp1secrets",
    purpose: "device-credentials",
    syncedSecret: { labels: { line: "3" }, references: [{ key: "user", create: {} }, { key: "password", version: "0123", part: Part.PRIVATE_KEY }] },
  });
});

test("what to enter in a resource is the secret and the key that its field asks for", () => {
  expect(pastesOf("edp1secrets", form.references, purpose)).toEqual([
    expect.objectContaining({ text: "edp1secrets/user", title: "Username reference", fields: [expect.objectContaining({ field: "spec.u" })] }),
    expect.objectContaining({ text: "edp1secrets/password", title: "Password reference" }),
  ]);
  const whole = create(SecretPurposeSchema, { keys: [{ key: "tls.crt", title: "Certificate" }], fields: [{ kind: "Broker", field: "spec.tls" }] });
  expect(pastesOf("tls", [{ key: "tls.crt", slot: "tls.crt" }], whole)).toEqual([expect.objectContaining({ text: "tls", title: "The whole secret" })]);
  expect(pastesOf("any", [{ key: "k" }], undefined).map(({ text }) => text)).toEqual(["any/k", "any"]);
});

test("the check says what will be, before it is", () => {
  const words = wordsOfCheck(form, create(SyncedSecretSchema, { secretType: "Opaque" })).join(" ");
  expect(words).toBe("Azure Key Vault gets edp1-user. The cluster gets the Secret edp1secrets of the type Opaque with the keys user, password.");
});
