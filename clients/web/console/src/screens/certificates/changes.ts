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

import { isOutcomeUnknown } from "../../api/change";
import { messageOf } from "../../ui/problem";
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

/** What was sent: the list as it was read, and under which request id. */
interface Sent {
  /** The one that it all was asked for with; each other state that it is sent on top of has one of its own. */
  readonly requestId: string;
  readonly id: string;
  readonly read: SyncedSecret | undefined;
}

/**
 * Changes lists on top of what was read of them: if somebody changes one meanwhile, it is looked at anew. Where an answer is lost, the
 * same message is sent again before anything else, since only its request id tells what came of it.
 */
export class ListChanger {
  #open: Sent | undefined;

  constructor(private readonly client: Client) {}

  /** Adds entries, and makes the list where there is none. An entry that is there is never replaced. */
  add(list: string, entries: readonly Reference[], requestId: string): Promise<SyncedSecret> {
    const check = (read: SyncedSecret | undefined): void => {
      const taken = entries.find((entry) => read?.references.some(({ key }) => key === entry.key));
      if (taken !== undefined) {
        throw new KeyTakenError(list, taken.key);
      }
    };
    return this.#change(list, requestId, check, ({ read, id }) =>
      read === undefined
        ? this.client.createSyncedSecret(list, entries, { requestId: id, waitMs: WAIT_MS, purpose: purposeOf(list) })
        : this.client.updateSyncedSecret(read, { setReferences: entries }, { requestId: id, waitMs: WAIT_MS }),
    );
  }

  /** Removes an entry, if it still is the one that was seen. */
  remove(list: string, seen: SecretReference, requestId: string): Promise<SyncedSecret> {
    return this.#change(list, requestId, (read) => checkSame(list, seen, read), ({ read, id }) =>
      this.client.updateSyncedSecret(read ?? `syncedSecrets/${list}`, { removeKeys: [seen.key] }, { requestId: id, waitMs: WAIT_MS }),
    );
  }

  /** Pins an entry to a version, if it still is the one that was seen. */
  pin(list: string, seen: SecretReference, version: string, requestId: string): Promise<SyncedSecret> {
    const { key, vaultSecret, part } = seen;
    // Without an encoding: the new version is stored as its tag says.
    const reference = existing(key, vaultSecret, { version, part });
    return this.#change(list, requestId, (read) => checkSame(list, seen, read), ({ read, id }) =>
      this.client.updateSyncedSecret(read ?? `syncedSecrets/${list}`, { setReferences: [reference] }, { requestId: id, waitMs: WAIT_MS }),
    );
  }

  async #change(
    list: string,
    requestId: string,
    check: (read: SyncedSecret | undefined) => void,
    send: (sent: Sent) => Promise<SyncedSecret>,
  ): Promise<SyncedSecret> {
    let again = this.#open?.requestId === requestId ? this.#open : undefined;
    const isResumed = again !== undefined;
    for (let attempt = 1; ; attempt++) {
      const sent = again ?? { requestId, id: attempt === 1 ? requestId : newId(), read: await this.#read(list, check) };
      this.#open = sent;
      try {
        const changed = await send(sent);
        this.#open = undefined;
        return changed;
      } catch (error) {
        const isFirst = isSomebodyFirst(error);
        // Another refusal of what was sent before says nothing of what came of that.
        if (isFirst || !(isOutcomeUnknown(error) || (isResumed && sent === again))) {
          this.#open = undefined;
        }
        if (!isFirst || attempt === ATTEMPTS) {
          throw error;
        }
        again = undefined;
      }
    }
  }

  async #read(list: string, check: (read: SyncedSecret | undefined) => void): Promise<SyncedSecret | undefined> {
    const read = await heldList(this.client, list);
    check(read);
    return read;
  }
}

/** Stores new versions of entries, and brings them to the edge. */
export class EntryReplacer {
  readonly #changer: ListChanger;
  #added: { readonly requestId: string; readonly version: string; readonly pinning: string } | undefined;

  constructor(private readonly client: Client) {
    this.#changer = new ListChanger(client);
  }

  /** One that is pinned is pinned to the new version. What is stored already is not stored once more. */
  async replace(list: string, seen: SecretReference, bytes: Uint8Array, requestId: string): Promise<SyncedSecret> {
    const { vaultSecret } = seen;
    if (this.#added?.requestId !== requestId) {
      checkSame(list, seen, await heldList(this.client, list));
      const { name } = await this.client.addVaultSecretVersion(vaultSecret, bytes, { requestId });
      this.#added = { requestId, version: idOf(name), pinning: newId() };
    }
    const { version, pinning } = this.#added;
    try {
      return seen.version === ""
        ? await this.client.syncSyncedSecret(`syncedSecrets/${list}`, { waitMs: WAIT_MS })
        : await this.#changer.pin(list, seen, version, pinning);
    } catch (error) {
      throw new HalfDoneError(`The vault has the new version ${version} of ${idOf(vaultSecret)}, but the edge doesn't yet: ${messageOf(error)}`);
    }
  }
}

/** What became of an entry that somebody looks at; nothing where it is as it was. */
export function problemOfEntry(seen: SecretReference, now: SecretReference | undefined): string | undefined {
  if (now === undefined) {
    return `${seen.key} is no longer in the list.`;
  }
  const isSame = now.vaultSecret.toLowerCase() === seen.vaultSecret.toLowerCase() && now.version === seen.version && now.part === seen.part;
  return isSame ? undefined : `Somebody changed ${seen.key} meanwhile: it is another secret, version or part of the vault now.`;
}

function checkSame(list: string, seen: SecretReference, read: SyncedSecret | undefined): void {
  const problem = read === undefined ? `${list} is no longer there.` : problemOfEntry(seen, read.references.find(({ key }) => key === seen.key));
  if (problem !== undefined) {
    throw new Error(`${problem} Close this and look at it.`);
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
