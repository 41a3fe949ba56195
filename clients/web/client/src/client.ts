/** The client: every method of the contract, and what makes them safe to use. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, type Transport } from "@connectrpc/connect";

import { Caller, type CallerOptions, type CallOptions } from "./caller.js";
import { DeadlineExceededError, NotSyncedError } from "./errors.js";
import {
  Condition_Status,
  SecretService,
  SyncedSecret_State,
  SyncedSecretView,
  type AuditEvent,
  type Caller as Who,
  type CheckedResource,
  type Condition,
  type SecretPurpose,
  type SecretUsage,
  type SyncedSecret,
  type Vault,
  type VaultSecret,
  type VaultSecretVersion,
} from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
import {
  filterOf,
  given,
  referencesOf,
  spanOf,
  timeOf,
  valueOf,
  type Filter,
  type Reference,
  type StoredOptions,
  type ValueOptions,
} from "./input.js";
import { Pager } from "./pager.js";
import { newId } from "./id.js";
import { Resumption } from "./resumption.js";
import { CallerTransport } from "./transport.js";
import { SecretValue, type Secret } from "./value.js";
import { Watch, type WatchOptions } from "./watch.js";

/** What holds for all calls of a client. */
export interface ClientOptions extends CallerOptions {
  /** What errors call the service. */
  target?: string | undefined;
}

/** What list calls take. */
export interface ListOptions extends CallOptions {
  /** How many to ask for at once: 100, at most 1000. */
  pageSize?: number | undefined;
  /** Where to begin: the `nextPageToken` of an earlier page. */
  pageToken?: string | undefined;
}

/** What calls that change something take. */
export interface ChangeOptions extends CallOptions {
  /** A UUID; one is made where left out. Give one only to repeat a call of an earlier program. */
  requestId?: string | undefined;
  /** Check everything, change nothing. */
  validateOnly?: boolean | undefined;
}

/** What calls take that change what is at the edge. */
export interface SyncOptions extends ChangeOptions {
  /** Answer when the edge holds it or it failed, or after that many milliseconds; at once where left out. */
  waitMs?: number | undefined;
}

/** A synced secret by its name alone, or as it was read: then only the state that was read is changed. */
export type Target = string | Pick<SyncedSecret, "name" | "etag">;

/** Which state of a synced secret a call may change. */
export interface StateOptions {
  /** Only this state; counts more than the etag of what was read. */
  etag?: string | undefined;
  /** Whatever it is now, although what was read is handed over: a newer state that somebody else wrote is lost. */
  anyState?: boolean | undefined;
}

/**
 * What an update changes. A synced secret that was read and then changed (`{ ...read, description }`) is taken as it is: its
 * `etag` is sent, so that a newer state is a {@link StaleError} and is not overwritten.
 */
export interface Changes {
  /** All of them. */
  references?: readonly Reference[] | undefined;
  /** Adds these, or replaces those with the same keys; not together with `references`. */
  setReferences?: readonly Reference[] | undefined;
  /** Removes those with these keys; not together with `references`. */
  removeKeys?: readonly string[] | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  description?: string | undefined;
  etag?: string | undefined;
}

/** Which events of the audit; texts are compared exactly with those of the events. */
export interface AuditFilter {
  /** A full name. */
  resource?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  outcome?: string | undefined;
  /** Only those with another outcome than `OK` and `ACCEPTED`. */
  failedOnly?: boolean | undefined;
  /** Not before. */
  sinceTime?: Date | Timestamp | undefined;
  /** Before, not at this time. */
  untilTime?: Date | Timestamp | undefined;
}

/** How to wait. */
export interface WaitOptions extends CallOptions {
  /** Wait on while it stands as failed or degraded: the service goes on trying, and the cause may pass. */
  throughFailures?: boolean | undefined;
}

const rpc = SecretService.method;

/**
 * The service, as TypeScript. Names are those of the contract, `syncedSecrets/{id}` and `vaultSecrets/{id}`. Calls that
 * change something carry a request id by themselves, so that a retry is the same request. Errors are
 * {@link SecretServiceError}s, by reason.
 */
export class SecretServiceClient {
  readonly #caller: Caller;
  /** The way of this client's unary calls, for libraries that take a transport, such as `@connectrpc/connect-query`. */
  readonly transport: Transport;

  /** On a transport of `@connectrpc/connect`; {@link connect} makes one. */
  constructor(transport: Transport, options: ClientOptions = {}) {
    this.#caller = new Caller(transport, options.target ?? "the transport's address", options);
    this.transport = new CallerTransport(this.#caller);
  }

  // ---- The Key Vault ----

  /** The vault that the instance is bound to, and what a check of access to it found that is at most some seconds old. */
  getVault(options: CallOptions = {}): Promise<Vault> {
    return this.#caller.unary(rpc.getVault, { name: "vault" }, options);
  }

  /** The secrets in the vault, without values. */
  listVaultSecrets(
    options: ListOptions & { nameContains?: string; unsyncedOnly?: boolean } = {},
  ): Pager<VaultSecret> {
    const { nameContains = "", unsyncedOnly = false, pageSize = 0 } = options;
    return new Pager(async (pageToken) => {
      const request = { pageSize, pageToken, nameContains, unsyncedOnly };
      const { vaultSecrets, nextPageToken } = await this.#caller.unary(rpc.listVaultSecrets, request, options);
      return { items: vaultSecrets, nextPageToken };
    }, options.pageToken);
  }

  /** A secret in the vault, without its value. */
  getVaultSecret(name: string, options: CallOptions = {}): Promise<VaultSecret> {
    return this.#caller.unary(rpc.getVaultSecret, { name }, options);
  }

  /** The versions of a secret in the vault, without values. */
  listVaultSecretVersions(vaultSecret: string, options: ListOptions = {}): Pager<VaultSecretVersion> {
    const { pageSize = 0 } = options;
    return new Pager(async (pageToken) => {
      const request = { parent: vaultSecret, pageSize, pageToken };
      const { versions, nextPageToken } = await this.#caller.unary(rpc.listVaultSecretVersions, request, options);
      return { items: versions, nextPageToken };
    }, options.pageToken);
  }

  /** Creates a secret in the vault without syncing it; never overwrites one. */
  createVaultSecret(
    id: string,
    value: Secret,
    options: ValueOptions & StoredOptions & ChangeOptions = {},
  ): Promise<VaultSecret> {
    const request = { ...changeOf(options), vaultSecretId: id, secret: valueOf({ ...options, value }) };
    return this.#caller.unary(rpc.createVaultSecret, request, options);
  }

  /**
   * Adds a new value to a secret in the vault; what follows its latest version is synced again. The new version keeps content
   * type and tags of the one before where none are given, and with `keepDates` its times.
   */
  addVaultSecretVersion(
    vaultSecret: string,
    value: Secret,
    options: ValueOptions & StoredOptions & Omit<ChangeOptions, "validateOnly"> & { keepDates?: boolean | undefined } = {},
  ): Promise<VaultSecretVersion> {
    const { requestId } = changeOf(options);
    const { keepDates = false } = options;
    const request = { parent: vaultSecret, secret: valueOf({ ...options, value }), requestId, keepDates };
    return this.#caller.unary(rpc.addVaultSecretVersion, request, options);
  }

  /** Changes what is given of a version, the latest where none is named, and leaves the rest; the value stays. */
  updateVaultSecret(
    name: string,
    changes: ValueOptions & { enabled?: boolean | undefined },
    options: ChangeOptions & { version?: string | undefined } = {},
  ): Promise<VaultSecretVersion> {
    const { enabled, contentType, notBeforeTime, expireTime, tags } = changes;
    const named = { enabled, content_type: contentType, not_before_time: notBeforeTime, expire_time: expireTime, tags };
    const paths = Object.entries(named).flatMap(([path, value]) => (value === undefined ? [] : [path]));
    const vaultSecret = given({
      name,
      enabled,
      contentType,
      notBeforeTime: timeOf(notBeforeTime),
      expireTime: timeOf(expireTime),
      tags: tags && { ...tags },
    });
    const { version = "" } = options;
    const request = { ...changeOf(options), vaultSecret, updateMask: { paths }, version };
    return this.#caller.unary(rpc.updateVaultSecret, request, options);
  }

  /** Brings a deleted secret back with all its versions, and answers when it is there. */
  recoverVaultSecret(name: string, options: ChangeOptions = {}): Promise<VaultSecret> {
    return this.#caller.unary(rpc.recoverVaultSecret, { ...changeOf(options), name }, options);
  }

  // ---- Synced secrets at the edge ----

  /** Creates a synced secret of references made by `existing` and `createNew`. The id is the name of the Kubernetes Secret. */
  createSyncedSecret(
    id: string,
    references: readonly Reference[],
    options: SyncOptions & {
      description?: string;
      secretType?: string;
      labels?: Record<string, string>;
      /** The id of a purpose, to refuse keys that don't fit it. */
      purpose?: string;
    } = {},
  ): Promise<SyncedSecret> {
    const { description = "", secretType = "", labels = {}, purpose = "", waitMs } = options;
    const request = given({
      ...changeOf(options),
      syncedSecretId: id,
      syncedSecret: { references: referencesOf(references), description, secretType, labels },
      wait: spanOf(waitMs),
      purpose,
    });
    return this.#caller.unary(rpc.createSyncedSecret, request, options, waitMs);
  }

  /** A synced secret, with what uses it unless `usages` is false. */
  getSyncedSecret(name: string, options: CallOptions & { usages?: boolean } = {}): Promise<SyncedSecret> {
    return this.#caller.unary(rpc.getSyncedSecret, { name, view: viewOf(options.usages ?? true) }, options);
  }

  /** The synced secrets for which all that is given holds; with `usages`, also what uses each. */
  listSyncedSecrets(options: ListOptions & Filter & { usages?: boolean } = {}): Pager<SyncedSecret> {
    const filter = filterOf(options);
    const { pageSize = 0, usages = false } = options;
    return new Pager(async (pageToken) => {
      const request = { pageSize, pageToken, filter, view: viewOf(usages) };
      const answer = await this.#caller.unary(rpc.listSyncedSecrets, request, options);
      return { items: answer.syncedSecrets, nextPageToken: answer.nextPageToken, totalSize: answer.totalSize };
    }, options.pageToken);
  }

  /**
   * What a list would show, as `added`, then a `bookmark`, then every change.
   *
   * It outlives the connection and the service: it goes on where it was and misses nothing. Where the service can't go
   * on from there, it says `restarted` and begins anew. Only a service that can't be reached at the beginning is an error
   * at once.
   */
  watch(options: Filter & WatchOptions & { resumeToken?: string } = {}): Watch {
    return new Watch(this.#caller, new Resumption(options, options.resumeToken ?? ""), options);
  }

  /**
   * Waits until the edge holds what was asked for last, and returns what it is then.
   *
   * As the service's own `waitMs` does, it ends with the first attempt: where that failed, {@link NotSyncedError} says why.
   * The service goes on trying, so the cause may pass: `throughFailures` waits on, for as long as the time lasts. After
   * `timeoutMs` (60,000 where left out) the {@link NotSyncedError} has the code `DeadlineExceeded` and says what is in the
   * way. What is being deleted is a {@link NotSyncedError} too, and what isn't there, or no more, a {@link NotFoundError}.
   */
  async waitSynced(name: string, options: WaitOptions = {}): Promise<SyncedSecret> {
    const { timeoutMs = 60_000, throughFailures = false, signal } = options;
    const ends = Date.now() + timeoutMs;
    const left = (): number => Math.max(1, ends - Date.now());
    let seen: SyncedSecret | undefined;
    const get = (): Promise<SyncedSecret> => this.getSyncedSecret(name, { usages: false, timeoutMs: left(), signal });
    try {
      seen = await get();
      if (isSettled(seen, throughFailures)) {
        return synced(seen);
      }
      for await (const event of this.watch({ nameContains: idOf(name), timeoutMs: left(), signal })) {
        if (!("syncedSecret" in event) || event.syncedSecret.name !== name) {
          continue;
        }
        // Where it was deleted, asking again says that it isn't there; or what it is, where it was made again.
        seen = event.type === "deleted" ? await get() : event.syncedSecret;
        if (isSettled(seen, throughFailures)) {
          return synced(seen);
        }
      }
    } catch (error) {
      if (seen === undefined || !(error instanceof DeadlineExceededError)) {
        throw error;
      }
      throw tooLate(seen, error.requestId);
    }
    throw tooLate(seen, "");
  }

  /**
   * Changes what is given, leaves the rest.
   *
   * `references` replaces all of them. With `setReferences` and `removeKeys`, all others stay, whatever they are by then, so nobody
   * who does the same at the same time is overwritten.
   *
   * Hand over what was read, as the target (`updateSyncedSecret(read, { labels })`) or in the changes
   * (`updateSyncedSecret(name, { ...read, labels })`), and only that state is changed: where it is another by now,
   * {@link StaleError}. A bare name without an etag changes whatever it is now, and `anyState` does so with what was read.
   */
  updateSyncedSecret(target: Target, changes: Changes, options: SyncOptions & StateOptions = {}): Promise<SyncedSecret> {
    const { references, setReferences = [], removeKeys = [], labels, description } = changes;
    const changed = given({ references: references && referencesOf(references), labels, description });
    const request = given({
      ...changeOf(options),
      syncedSecret: { name: nameOf(target), etag: etagOf(options, changes, target), ...changed },
      updateMask: { paths: Object.keys(changed) },
      wait: spanOf(options.waitMs),
      setReferences: referencesOf(setReferences),
      removeKeys: [...removeKeys],
    });
    return this.#caller.unary(rpc.updateSyncedSecret, request, options, options.waitMs);
  }

  /**
   * Deletes from the edge, never from the vault. While something uses it: {@link InUseError}, unless `force`.
   *
   * Hand over what was read, and only that state is deleted: where it is another by now, {@link StaleError}. A bare name
   * without an etag deletes whatever it is now, and `anyState` does so with what was read.
   */
  deleteSyncedSecret(
    target: Target,
    options: SyncOptions & StateOptions & { force?: boolean; allowMissing?: boolean } = {},
  ): Promise<SyncedSecret> {
    const { force = false, allowMissing = false, waitMs } = options;
    const [name, etag] = [nameOf(target), etagOf(options, target)];
    const request = given({ ...changeOf(options), name, etag, force, allowMissing, wait: spanOf(waitMs) });
    return this.#caller.unary(rpc.deleteSyncedSecret, request, options, waitMs);
  }

  /** Syncs all its references now, without waiting for the next look at the vault. */
  syncSyncedSecret(name: string, options: CallOptions & { waitMs?: number } = {}): Promise<SyncedSecret> {
    const request = given({ name, wait: spanOf(options.waitMs) });
    return this.#caller.unary(rpc.syncSyncedSecret, request, options, options.waitMs);
  }

  /** Takes over a Kubernetes Secret that another tool made, so that it is managed here; {@link waitSynced} waits for it. */
  adoptSyncedSecret(
    name: string,
    options: ChangeOptions & { references?: readonly Reference[] } = {},
  ): Promise<SyncedSecret> {
    const request = { ...changeOf(options), name, references: referencesOf(options.references ?? []) };
    return this.#caller.unary(rpc.adoptSyncedSecret, request, options);
  }

  /** What uses a synced secret, or any: one for each field that names it, the broken ones included. */
  listSecretUsages(name = "syncedSecrets/-", options: ListOptions = {}): Pager<SecretUsage> {
    const { pageSize = 0 } = options;
    return new Pager(async (pageToken) => {
      const request = { parent: name, pageSize, pageToken };
      const { usages, nextPageToken, unreachable } = await this.#caller.unary(rpc.listSecretUsages, request, options);
      return { items: usages, nextPageToken, unreachable };
    }, options.pageToken);
  }

  /**
   * What the resources of a manifest, YAML or JSON, need from secrets, before they are applied. Where {@link canWork} says
   * no of one, a secret or key is missing, expired, or not usable otherwise.
   */
  async checkResource(manifest: string | SecretValue, options: CallOptions = {}): Promise<CheckedResource[]> {
    const request = { manifest: new SecretValue(manifest).reveal() };
    const { resources } = await this.#caller.unary(rpc.checkResource, request, options);
    return resources;
  }

  /** What a synced secret can be for: the keys that each purpose needs, and the fields that can name such a secret. */
  listSecretPurposes(options: ListOptions = {}): Pager<SecretPurpose> {
    const { pageSize = 0 } = options;
    return new Pager(async (pageToken) => {
      const { purposes, nextPageToken } = await this.#caller.unary(rpc.listSecretPurposes, { pageSize, pageToken }, options);
      return { items: purposes, nextPageToken };
    }, options.pageToken);
  }

  // ---- History ----

  /** Who did what, when, with which result; newest first, and only that for which all that is given holds. */
  listAuditEvents(options: ListOptions & AuditFilter = {}): Pager<AuditEvent> {
    const { resource = "", actor = "", action = "", outcome = "", failedOnly = false, pageSize = 0 } = options;
    const [sinceTime, untilTime] = [timeOf(options.sinceTime), timeOf(options.untilTime)];
    const filter = given({ resource, actor, action, outcome, failedOnly, sinceTime, untilTime });
    return new Pager(async (pageToken) => {
      const request = { ...filter, pageSize, pageToken };
      const { auditEvents, nextPageToken } = await this.#caller.unary(rpc.listAuditEvents, request, options);
      return { items: auditEvents, nextPageToken };
    }, options.pageToken);
  }

  // ---- The caller ----

  /**
   * Who the caller is and which methods they may call, for every name or for one `resource`, and what is missing for the others.
   * It is advice: each call is authorized again.
   */
  getCaller(options: CallOptions & { resource?: string } = {}): Promise<Who> {
    return this.#caller.unary(rpc.getCaller, { name: "caller", resource: options.resource ?? "" }, options);
  }
}

/** The last part of a name: of a synced secret, the name of the Kubernetes Secret. */
export function idOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Whether the edge holds what was asked for last. */
export function isSynced(secret: SyncedSecret): boolean {
  return secret.state === SyncedSecret_State.SYNCED && secret.syncedGeneration === secret.generation;
}

/** Whether no problem is known that keeps a checked resource from working. */
export function canWork({ problems, usages }: CheckedResource): boolean {
  const found = [...problems, ...usages.map(({ problem }) => problem)];
  return found.every((problem) => problem?.status !== Condition_Status.FALSE);
}

/** The condition of a type, such as `Synced`, `InUse` or `Expiring`. */
export function conditionOf(secret: SyncedSecret, type: string): Condition | undefined {
  return secret.conditions.find((condition) => condition.type === type);
}

// ---- Helpers ----

function changeOf({ requestId, validateOnly = false }: ChangeOptions): { requestId: string; validateOnly: boolean } {
  return { requestId: requestId ?? newId(), validateOnly };
}

function viewOf(usages: boolean): SyncedSecretView {
  return usages ? SyncedSecretView.FULL : SyncedSecretView.BASIC;
}

function nameOf(target: Target): string {
  return typeof target === "string" ? target : target.name;
}

/** The etag to send: the one that was named, else that of what was read; none for any state. */
function etagOf({ etag, anyState = false }: StateOptions, ...read: (Target | { etag?: string | undefined })[]): string {
  if (anyState && etag) {
    throw new TypeError("an etag and anyState exclude each other: say which state may be changed, or that any may");
  }
  const seen = read.map((one) => (typeof one === "string" ? undefined : one.etag));
  return anyState ? "" : [etag, ...seen].find(Boolean) ?? "";
}

/** Whether waiting is over, because it is at the edge, the attempt failed, or it is on its way out. */
function isSettled(secret: SyncedSecret, throughFailures: boolean): boolean {
  const failed = secret.state === SyncedSecret_State.FAILED || secret.state === SyncedSecret_State.DEGRADED;
  return isSynced(secret) || secret.state === SyncedSecret_State.DELETING || (failed && !throughFailures);
}

/** What is at the edge; the error that says why where it isn't. */
function synced(seen: SyncedSecret): SyncedSecret {
  if (isSynced(seen)) {
    return seen;
  }
  throw new NotSyncedError({ ...whyNot(seen, "is not synced"), code: Code.FailedPrecondition }, seen);
}

function tooLate(seen: SyncedSecret, requestId: string): NotSyncedError {
  const why = whyNot(seen, "was not synced in time");
  return new NotSyncedError({ ...why, code: Code.DeadlineExceeded, requestId }, seen);
}

function whyNot(seen: SyncedSecret, what: string): { message: string; reason: string; resource: string } {
  const condition = conditionOf(seen, "Synced");
  const states: Partial<Record<number, string>> = SyncedSecret_State;
  const state = states[seen.state] ?? String(seen.state);
  const why = condition?.message ?? "Wait longer, or look at its conditions.";
  return {
    message: `${seen.name} ${what}, its state is ${state}. ${why}`,
    reason: condition?.reason ?? "",
    resource: seen.name,
  };
}
