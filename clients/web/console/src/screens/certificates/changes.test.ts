import { create } from "@bufbuild/protobuf";
import { Code, NotFoundError, PermissionDeniedError, StaleError, UnavailableError, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretReferenceSchema, SyncedSecretSchema, VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test, vi } from "vitest";

import { entryOf, EntryReplacer, HalfDoneError, KeyTakenError, ListChanger, problemOfEntry } from "./changes";

const list = (etag: string, ...keys: string[]): SyncedSecret =>
  create(SyncedSecretSchema, { name: "syncedSecrets/a-trust-list", etag, references: keys.map((key) => ({ key, vaultSecret: `vaultSecrets/${key}` })) });
const requestId = "b3d4c6d4-0000-4000-8000-000000000000";
const entry: Reference = entryOf("a-trust-list", "plc.der", Uint8Array.of(0x30));

const unavailable = (): UnavailableError => new UnavailableError({ message: "", code: Code.Unavailable });
const stale = (): StaleError => new StaleError({ message: "", code: Code.Aborted });

/** A service whose list is in one of these states after the other. */
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

/** The lists on top of which it was asked for a change, with the request ids. */
function sent(client: ReturnType<typeof clientOf>): (readonly [string, string])[] {
  const calls = client.updateSyncedSecret.mock.calls as unknown as [SyncedSecret, unknown, { requestId: string }][];
  return calls.map(([{ etag }, , options]) => [etag, options.requestId]);
}

test("the first entry makes the list", async () => {
  const client = clientOf(undefined);
  await new ListChanger(client).add("a-trust-list", [entry], requestId);
  expect(client.createSyncedSecret).toHaveBeenCalledWith("a-trust-list", [entry], expect.objectContaining({ purpose: "trust-list", requestId }));
  expect(client.updateSyncedSecret).not.toHaveBeenCalled();
});

test("an entry that is there is never replaced", async () => {
  const client = clientOf(list("1", "plc.der"));
  await expect(new ListChanger(client).add("a-trust-list", [entry], requestId)).rejects.toBeInstanceOf(KeyTakenError);
  expect(client.updateSyncedSecret).not.toHaveBeenCalled();
});

test("where somebody else was first, the state that is now counts", async () => {
  const client = clientOf(list("1", "a.der"), list("2", "a.der", "b.der"));
  client.updateSyncedSecret.mockRejectedValueOnce(stale());
  await new ListChanger(client).add("a-trust-list", [entry], requestId);
  expect(sent(client).map(([etag]) => etag)).toEqual(["1", "2"]);
  expect(sent(client)[1]?.[1]).not.toBe(requestId);
});

test("where the answer was lost, the same message is sent again, although the list has the entry by then", async () => {
  const client = clientOf(list("1", "a.der"), list("2", "a.der", "plc.der"));
  const changer = new ListChanger(client);
  client.updateSyncedSecret.mockRejectedValueOnce(unavailable());
  await expect(changer.add("a-trust-list", [entry], requestId)).rejects.toBeInstanceOf(UnavailableError);
  // Refused before the service looked at it: that tells nothing of the first.
  client.updateSyncedSecret.mockRejectedValueOnce(new PermissionDeniedError({ message: "", code: Code.PermissionDenied }));
  await expect(changer.add("a-trust-list", [entry], requestId)).rejects.toBeInstanceOf(PermissionDeniedError);
  await changer.add("a-trust-list", [entry], requestId);
  expect(sent(client)).toEqual([["1", requestId], ["1", requestId], ["1", requestId]]);
});

test("what was refused is put on top of what is there when it is asked for again", async () => {
  const client = clientOf(list("1", "a.der"), list("2", "a.der", "b.der"));
  const changer = new ListChanger(client);
  client.updateSyncedSecret.mockRejectedValueOnce(new PermissionDeniedError({ message: "", code: Code.PermissionDenied }));
  await expect(changer.add("a-trust-list", [entry], requestId)).rejects.toBeInstanceOf(PermissionDeniedError);
  await changer.add("a-trust-list", [entry], requestId);
  expect(sent(client).map(([etag]) => etag)).toEqual(["1", "2"]);
});

test("an entry is removed only as it was seen, and the rest of the list stays as it is by then", async () => {
  const seen = create(SecretReferenceSchema, { key: "plc.der", vaultSecret: "vaultSecrets/plc.der" });
  const client = clientOf(list("1", "plc.der", "a.der"), list("2", "plc.der", "b.der"));
  client.updateSyncedSecret.mockRejectedValueOnce(stale());
  await new ListChanger(client).remove("a-trust-list", seen, requestId);
  expect(sent(client).map(([etag]) => etag)).toEqual(["1", "2"]);
  const other = clientOf(list("1", "plc.der", "a.der"));
  const theirs = { ...seen, vaultSecret: "vaultSecrets/before" };
  await expect(new ListChanger(other).remove("a-trust-list", theirs, requestId)).rejects.toThrow(/Somebody changed plc.der/);
  await expect(new ListChanger(clientOf(list("1", "a.der"))).remove("a-trust-list", seen, requestId)).rejects.toThrow(/no longer in the list/);
  expect(other.updateSyncedSecret).not.toHaveBeenCalled();
});

test("what became of an entry is told, whatever the case in which the vault's name is written", () => {
  const seen = create(SecretReferenceSchema, { key: "a.der", vaultSecret: "vaultSecrets/A", version: "1" });
  expect(problemOfEntry(seen, { ...seen, vaultSecret: "vaultSecrets/a", syncedVersion: "9" })).toBeUndefined();
  expect(problemOfEntry(seen, { ...seen, version: "2" })).toContain("Somebody changed");
  expect(problemOfEntry(seen, undefined)).toBe("a.der is no longer in the list.");
});

const bytes = Uint8Array.of(0x30);
const pinned = create(SecretReferenceSchema, { key: "plc.der", vaultSecret: "vaultSecrets/plc.der", version: "0ld" });
const withPinned = create(SyncedSecretSchema, { ...list("1"), references: [pinned] });

test("an entry that is pinned is pinned to the new version, and any other one is synced", async () => {
  const client = clientOf(withPinned);
  await new EntryReplacer(client).replace("a-trust-list", pinned, bytes, requestId);
  expect(client.updateSyncedSecret).toHaveBeenCalledWith(
    withPinned,
    { setReferences: [expect.objectContaining({ key: "plc.der", vaultSecret: "vaultSecrets/plc.der", version: "f00" })] },
    expect.anything(),
  );
  const following = clientOf(list("1", "plc.der"));
  await new EntryReplacer(following).replace("a-trust-list", { ...pinned, version: "" }, bytes, requestId);
  expect(following.syncSyncedSecret).toHaveBeenCalledOnce();
});

test("it is told where the vault has the new version and the edge doesn't; again stores none once more", async () => {
  const client = clientOf(withPinned);
  const replacer = new EntryReplacer(client);
  client.updateSyncedSecret.mockRejectedValueOnce(new Error("away"));
  const replacing = replacer.replace("a-trust-list", pinned, bytes, requestId);
  await expect(replacing).rejects.toBeInstanceOf(HalfDoneError);
  await expect(replacing).rejects.toThrow("f00");
  await replacer.replace("a-trust-list", pinned, bytes, requestId);
  expect(client.addVaultSecretVersion).toHaveBeenCalledOnce();
  expect(client.updateSyncedSecret).toHaveBeenCalledTimes(2);
});

test("a file for an entry that is another one by now is not stored", async () => {
  const client = clientOf(list("2", "plc.der"));
  await expect(new EntryReplacer(client).replace("a-trust-list", pinned, bytes, requestId)).rejects.toThrow(/Somebody changed plc.der/);
  expect(client.addVaultSecretVersion).not.toHaveBeenCalled();
});
