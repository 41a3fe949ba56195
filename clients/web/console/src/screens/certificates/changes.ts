/** How entries of lists change: each by itself, so that two people who change one list lose nothing of each other's. */
import {
  createNew,
  existing,
  idOf,
  newId,
  NotFoundError,
  type Reference,
  type SecretReference,
  type SecretServiceClient,
  SecretServiceError,
  StaleError,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";

import { purposeOf, vaultSecretOf } from "./names";

/** How long to wait for the edge before saying that it is recorded, but not there yet. */
const WAIT_MS = 15_000;
/** How often somebody else may be first before it is told. */
const ATTEMPTS = 5;

type Client = Pick<
  SecretServiceClient,
  "getSyncedSecret" | "createSyncedSecret" | "updateSyncedSecret" | "addVaultSecretVersion" | "syncSyncedSecret"
>;

/** The list has an entry with this key. */
export class KeyTakenError extends Error {
  constructor(list: string, key: string) {
    super(`${list} has an entry ${key} already. Replace that one, or give this one another name.`);
  }
}

/** The new vault secret was stored, and what was to follow failed. */
export class HalfDoneError extends Error {}

/** A new entry of a file: the vault keeps it in hex, as Azure IoT Operations does. */
export function entryOf(list: string, key: string, bytes: Uint8Array, vaultSecret = vaultSecretOf(list, key)): Reference {
  return createNew(key, `vaultSecrets/${vaultSecret}`, bytes);
}

/**
 * Adds entries to a list, and makes the list where there is none. An entry that is there is never replaced: what was read counts only
 * if nobody changed it meanwhile.
 */
export async function addEntries(
  client: Client,
  list: string,
  entries: readonly Reference[],
  { requestId, validateOnly = false }: { requestId: string; validateOnly?: boolean },
): Promise<SyncedSecret> {
  const options = { validateOnly, waitMs: validateOnly ? undefined : WAIT_MS };
  for (let attempt = 1; ; attempt++) {
    // Another state is another request.
    const id = attempt === 1 ? requestId : newId();
    try {
      const read = await heldList(client, list);
      if (read === undefined) {
        return await client.createSyncedSecret(list, entries, { ...options, requestId: id, purpose: purposeOf(list) });
      }
      const taken = entries.find((entry) => read.references.some(({ key }) => key === entry.key));
      if (taken !== undefined) {
        throw new KeyTakenError(list, taken.key);
      }
      return await client.updateSyncedSecret(read, { setReferences: entries }, { ...options, requestId: id });
    } catch (error) {
      if (attempt === ATTEMPTS || !isSomebodyFirst(error)) {
        throw error;
      }
    }
  }
}

/** Removes entries, whatever else the list holds by then. */
export function removeEntries(client: Client, list: string, keys: readonly string[], requestId: string): Promise<SyncedSecret> {
  return client.updateSyncedSecret(`syncedSecrets/${list}`, { removeKeys: keys }, { requestId, waitMs: WAIT_MS });
}

/** Stores a new version of an entry, and brings it to the edge; one that is pinned is pinned to the new version. */
export async function replaceEntry(
  client: Client,
  list: string,
  reference: SecretReference,
  bytes: Uint8Array,
  requestId: string,
): Promise<SyncedSecret> {
  const name = `syncedSecrets/${list}`;
  const { key, vaultSecret, part } = reference;
  const added = await client.addVaultSecretVersion(vaultSecret, bytes, { requestId });
  try {
    // Without an encoding: the new version is stored as its tag says.
    return reference.version === ""
      ? await client.syncSyncedSecret(name, { waitMs: WAIT_MS })
      : await client.updateSyncedSecret(
          name,
          { setReferences: [existing(key, vaultSecret, { version: idOf(added.name), part })] },
          { waitMs: WAIT_MS },
        );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HalfDoneError(`The vault has the new version ${idOf(added.name)} of ${idOf(vaultSecret)}, but the edge doesn't yet: ${why}`);
  }
}

async function heldList(client: Client, list: string): Promise<SyncedSecret | undefined> {
  try {
    return await client.getSyncedSecret(`syncedSecrets/${list}`, { usages: false });
  } catch (error) {
    if (error instanceof NotFoundError) {
      return undefined;
    }
    throw error;
  }
}

function isSomebodyFirst(error: unknown): boolean {
  return error instanceof StaleError || (error instanceof SecretServiceError && error.reason === "SYNCED_SECRET_EXISTS");
}
