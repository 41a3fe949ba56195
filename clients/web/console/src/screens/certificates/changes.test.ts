import { create } from "@bufbuild/protobuf";
import { Code, NotFoundError, StaleError, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretReferenceSchema, SyncedSecretSchema, VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test, vi } from "vitest";

import { addEntries, entryOf, HalfDoneError, KeyTakenError, replaceEntry } from "./changes";

const list = (etag: string, ...keys: string[]): SyncedSecret =>
  create(SyncedSecretSchema, { name: "syncedSecrets/a-trust-list", etag, references: keys.map((key) => ({ key })) });
const requestId = "b3d4c6d4-0000-4000-8000-000000000000";
const entry: Reference = entryOf("a-trust-list", "plc.der", Uint8Array.of(0x30));

function clientOf(...states: (SyncedSecret | undefined)[]) {
  const current = (): SyncedSecret | undefined => (states.length > 1 ? states.shift() : states[0]);
  return {
    getSyncedSecret: vi.fn(() => {
      const found = current();
      return found ? Promise.resolve(found) : Promise.reject(new NotFoundError({ message: "", code: Code.NotFound }));
    }),
    createSyncedSecret: vi.fn(() => Promise.resolve(list("1", "plc.der"))),
    updateSyncedSecret: vi.fn(() => Promise.resolve(list("2", "plc.der"))),
    addVaultSecretVersion: vi.fn(() => Promise.resolve(create(VaultSecretVersionSchema, { name: "vaultSecrets/a/versions/f00" }))),
    syncSyncedSecret: vi.fn(() => Promise.resolve(list("3", "plc.der"))),
  };
}

test("the first entry makes the list", async () => {
  const client = clientOf(undefined);
  await addEntries(client, "a-trust-list", [entry], { requestId });
  expect(client.createSyncedSecret).toHaveBeenCalledWith("a-trust-list", [entry], expect.objectContaining({ purpose: "trust-list", requestId }));
  expect(client.updateSyncedSecret).not.toHaveBeenCalled();
});

test("an entry that is there is never replaced", async () => {
  const client = clientOf(list("1", "plc.der"));
  await expect(addEntries(client, "a-trust-list", [entry], { requestId })).rejects.toBeInstanceOf(KeyTakenError);
  expect(client.updateSyncedSecret).not.toHaveBeenCalled();
});

test("where somebody else was first, the state that is now counts", async () => {
  const client = clientOf(list("1", "a.der"), list("2", "a.der", "b.der"));
  client.updateSyncedSecret.mockRejectedValueOnce(new StaleError({ message: "", code: Code.Aborted }));
  await addEntries(client, "a-trust-list", [entry], { requestId });
  const targets = client.updateSyncedSecret.mock.calls as unknown as [SyncedSecret, unknown, { requestId: string }][];
  expect(targets.map(([{ etag }]) => etag)).toEqual(["1", "2"]);
  expect(targets[1]?.[2].requestId).not.toBe(requestId);
});

test("an entry that is pinned is pinned to the new version, and any other one is synced", async () => {
  const client = clientOf();
  const reference = create(SecretReferenceSchema, { key: "plc.der", vaultSecret: "vaultSecrets/a", version: "0ld" });
  await replaceEntry(client, "a-trust-list", reference, Uint8Array.of(0x30), requestId);
  expect(client.updateSyncedSecret).toHaveBeenCalledWith(
    "syncedSecrets/a-trust-list",
    { setReferences: [expect.objectContaining({ key: "plc.der", vaultSecret: "vaultSecrets/a", version: "f00" })] },
    expect.anything(),
  );
  await replaceEntry(client, "a-trust-list", create(SecretReferenceSchema, { ...reference, version: "" }), Uint8Array.of(0x30), requestId);
  expect(client.syncSyncedSecret).toHaveBeenCalledOnce();
});

test("it is told where the vault has the new version and the edge doesn't", async () => {
  const client = clientOf();
  client.syncSyncedSecret.mockRejectedValueOnce(new Error("away"));
  const reference = create(SecretReferenceSchema, { key: "plc.der", vaultSecret: "vaultSecrets/a" });
  const replacing = replaceEntry(client, "a-trust-list", reference, Uint8Array.of(0x30), requestId);
  await expect(replacing).rejects.toBeInstanceOf(HalfDoneError);
  await expect(replacing).rejects.toThrow("f00");
});
