/** The rows of the table: each synced secret, with what uses it and what can be found in it. */
import { idOf, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";
import { timestampMs } from "@bufbuild/protobuf/wkt";

/** A resource that uses a synced secret. */
export interface User {
  /** `Kind/name`, as the filter in the address has it. */
  readonly id: string;
  readonly kind: string;
  readonly resource: string;
}

export interface SecretRow {
  readonly secret: SyncedSecret;
  /** The name of the Kubernetes Secret. */
  readonly id: string;
  readonly keys: readonly string[];
  /** The names of its vault secrets, each once. */
  readonly vaultSecrets: readonly string[];
  /** Undefined where nobody has looked, or the latest look failed. */
  readonly users: readonly User[] | undefined;
  /** When the edge was last in sync with its references, in milliseconds since 1970. */
  readonly synced: number | undefined;
  /** All that a search looks in, in small letters. */
  readonly text: string;
}

/** What uses each synced secret, by its name, and when somebody looked, in milliseconds since 1970. */
export interface Users {
  readonly byName: ReadonlyMap<string, readonly User[]>;
  readonly looked: number;
  /** Whether the service could read every kind of resource: otherwise, that it found no user says nothing. */
  readonly isComplete: boolean;
}

/** What is known of who uses what: where the latest look failed, what an earlier one found is no answer. */
export function usersFrom(look: Look): Users | undefined {
  return look.data === undefined || look.isError ? undefined : usersOf(look.data, look.dataUpdatedAt, look.unread.length === 0);
}

/** A look at the usages, as its query tells of it. */
interface Look {
  readonly data: readonly SecretUsage[] | undefined;
  readonly dataUpdatedAt: number;
  readonly isError: boolean;
  /** The kinds that the service could not read. */
  readonly unread: readonly string[];
}

/** Who uses what: a resource counts once for a synced secret, however many of its fields name it. */
export function usersOf(usages: readonly SecretUsage[], looked: number, isComplete = true): Users {
  const users = new Map<string, User[]>();
  const seen = new Set<string>();
  for (const { syncedSecret, apiVersion, namespace, kind, resource } of usages) {
    const one = [syncedSecret, apiVersion, kind, namespace, resource].join("\n");
    if (seen.has(one)) {
      continue;
    }
    seen.add(one);
    const known = users.get(syncedSecret);
    const user = { id: `${kind}/${resource}`, kind, resource };
    if (known === undefined) {
      users.set(syncedSecret, [user]);
    } else {
      known.push(user);
    }
  }
  return { byName: users, looked, isComplete };
}

const NOBODY: readonly User[] = [];

/** Makes rows; those of what did not change are the same ones again, so that ten thousand cost little. */
export class Rows {
  #made = new WeakMap<SyncedSecret, SecretRow>();
  #users: Users | undefined;

  of(secrets: readonly SyncedSecret[], users: Users | undefined): readonly SecretRow[] {
    if (users !== this.#users) {
      this.#users = users;
      this.#made = new WeakMap();
    }
    return secrets.map((secret) => {
      const known = this.#made.get(secret);
      if (known !== undefined) {
        return known;
      }
      const row = rowOf(secret, users && usersOfOne(secret, users));
      this.#made.set(secret, row);
      return row;
    });
  }
}

/** Where one was made after the look, or the service could not look everywhere, nobody knows that nothing uses it. */
function usersOfOne({ name, createTime }: SyncedSecret, { byName, looked, isComplete }: Users): readonly User[] | undefined {
  const isNewer = createTime !== undefined && timestampMs(createTime) > looked;
  return isNewer ? undefined : (byName.get(name) ?? (isComplete ? NOBODY : undefined));
}

export function rowOf(secret: SyncedSecret, users: readonly User[] | undefined): SecretRow {
  const id = idOf(secret.name);
  const keys = secret.references.map(({ key }) => key);
  const vaultSecrets = [...new Set(secret.references.map(({ vaultSecret }) => idOf(vaultSecret)))];
  const words = [id, ...keys, ...vaultSecrets, ...(users ?? []).map((user) => user.id)];
  return {
    secret,
    id,
    keys,
    vaultSecrets,
    users,
    synced: secret.syncTime && timestampMs(secret.syncTime),
    text: words.join("\n").toLowerCase(),
  };
}
