import { create } from "@bufbuild/protobuf";
import {
  AlreadyExistsError,
  Code,
  Encoding,
  FailedPreconditionError,
  NotFoundError,
  Part,
  PermissionDeniedError,
  SecretValue,
  UnavailableError,
} from "@iotoperations/secret-service-client";
import { SyncedSecretSchema, VaultSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { newDraft, type Source } from "../../references/draft-reference";
import type { Form } from "./form";
import { hasLeft, isBarred, lookFor, wordsOfLeft, type Presence } from "./left";

const created = (vaultSecret: string): Source => ({
  kind: "new",
  draft: { vaultSecret, value: new SecretValue("x"), kind: "text", size: 1, revision: vaultSecret },
});
const picked: Source = { kind: "existing", pick: { vaultSecret: "vaultSecrets/c", version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED } };
const form: Form = {
  purpose: "",
  references: [newDraft("a", created("vault-a")), newDraft("b", created("vault-b")), newDraft("c", picked)],
  name: "pump",
  description: "",
  labels: "",
  secretType: "",
};
const failure = { message: "no", code: Code.Unknown };
const LOST = new UnavailableError({ ...failure, code: Code.Unavailable });
const ERRORS = {
  absent: new NotFoundError({ ...failure, code: Code.NotFound }),
  unknown: new PermissionDeniedError({ ...failure, code: Code.PermissionDenied }),
} as const;

/** What a look finds where each of the things answers so. */
function look(answers: Partial<Record<"pump" | "vault-a" | "vault-b", "there" | "absent" | "unknown">>, error: unknown) {
  const answer = <T>(name: string, there: T): Promise<T> => {
    const is = answers[name.split("/")[1] as "pump"] ?? "absent";
    return is === "there" ? Promise.resolve(there) : Promise.reject(ERRORS[is]);
  };
  const client = {
    getSyncedSecret: (name: string) => answer(name, create(SyncedSecretSchema, { name })),
    getVaultSecret: (name: string) => answer(name, create(VaultSecretSchema, { name })),
  };
  return lookFor(client, form, error);
}

test("what nobody could look at is unknown, and not absent", async () => {
  const left = await look({ pump: "unknown", "vault-a": "unknown" }, LOST);
  expect(left.syncedSecret).toBe("unknown");
  expect(hasLeft(left)).toBe(true);
  expect(wordsOfLeft(left, "pump")).toEqual([
    "Not in Azure Key Vault: vault-b.",
    "Whether Azure Key Vault has vault-a is unknown.",
    "Whether the synced secret pump is recorded is unknown.",
  ]);
  expect(hasLeft(await look({ pump: "unknown" }, LOST))).toBe(true);
});

test("what is there is told as such, and where nothing is, nothing was left", async () => {
  const left = await look({ pump: "there", "vault-a": "there" }, LOST);
  expect(wordsOfLeft(left, "pump")).toEqual([
    "In Azure Key Vault: vault-a.",
    "Not in Azure Key Vault: vault-b.",
    "The synced secret pump is recorded.",
  ]);
  expect([hasLeft(left), isBarred(left)]).toEqual([true, false]);
  const nothing = await look({}, LOST);
  expect(hasLeft(nothing)).toBe(false);
  expect(wordsOfLeft(nothing, "pump").at(-1)).toBe("No synced secret pump is recorded.");
});

test.each([
  ["by its reason", { reason: "SYNCED_SECRET_EXISTS" }],
  ["by a field beside another's vault secret", { reason: "VAULT_SECRET_EXISTS", fieldViolations: [{ field: "synced_secret_id", description: "Is taken" }] }],
])("a synced secret that somebody else made meanwhile (%s) is not of this attempt, and neither is what the vault has", async (_, said) => {
  const left = await look({ pump: "there", "vault-a": "there" }, new AlreadyExistsError({ ...failure, ...said }));
  expect(hasLeft(left)).toBe(false);
  expect(wordsOfLeft(left, "pump")).toEqual(["The name pump is somebody else's, and nothing was done."]);
});

test("a vault secret that somebody else made meanwhile is not of this attempt, and bars it", async () => {
  const taken = new AlreadyExistsError({ ...failure, reason: "VAULT_SECRET_EXISTS", metadata: {}, resource: "vaultSecrets/vault-b" });
  const left = await look({ pump: "there", "vault-a": "there", "vault-b": "there" }, taken);
  expect([...left.vaultSecrets]).toEqual<[string, Presence][]>([
    ["vault-a", "there"],
    ["vault-b", "foreign"],
  ]);
  expect([hasLeft(left), isBarred(left)]).toEqual([true, true]);
  expect(wordsOfLeft(left, "pump")).toContain("Somebody else's in Azure Key Vault: vault-b.");
  expect(hasLeft(await look({ "vault-b": "there" }, taken))).toBe(false);
});

test("after another refusal, what is there may be of this attempt", async () => {
  const refused = new FailedPreconditionError({ ...failure, reason: "VAULT_SECRET_SOFT_DELETED", resource: "vaultSecrets/vault-b" });
  expect(hasLeft(await look({ "vault-a": "there" }, refused))).toBe(true);
});
