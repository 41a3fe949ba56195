/** What callers hand over: references, values and filters, in plain objects, and as messages of the contract. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate, type Duration, type Timestamp } from "@bufbuild/protobuf/wkt";

import {
  SyncedSecretFilterSchema,
  type NewVaultSecretSchema,
  type SecretReference_Encoding,
  type SecretReference_Part,
  type SecretReferenceSchema,
  type SyncedSecret_Origin,
  type SyncedSecret_State,
} from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
import { hidden, SecretData, type Secret } from "./value.js";

/** What goes with a new value in the vault. */
export interface ValueOptions {
  contentType?: string | undefined;
  notBeforeTime?: Date | Timestamp | undefined;
  expireTime?: Date | Timestamp | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
}

/** What "Create new" stores in the vault. Only ever sent, never received. */
export interface NewValue extends ValueOptions, StoredOptions {
  /** A text; or bytes, such as the file of a certificate, which the vault keeps in `encoding`. */
  value: Secret;
}

/** How the vault keeps a new value. */
export interface StoredOptions {
  /** Sets the tag `file-encoding`. Where left out, bytes are kept in hex, and those of a new version as the ones before. */
  encoding?: SecretReference_Encoding | undefined;
}

/**
 * One vault secret, saved under `key` in the Kubernetes Secret. Made by {@link existing} and {@link createNew}; a
 * reference that was received can be sent back as it is.
 */
export interface Reference {
  key: string;
  /** `vaultSecrets/{id}` */
  vaultSecret: string;
  /** Pinned version; follows the latest where empty. */
  version?: string | undefined;
  encoding?: SecretReference_Encoding | undefined;
  /** Of a certificate. Where left out, the one that the reference has, or the whole value. */
  part?: SecretReference_Part | undefined;
  /** Create the vault secret first. */
  create?: NewValue | undefined;
}

/** Which synced secrets a list or a watch is about; all that is given must hold. */
export interface Filter {
  states?: readonly SyncedSecret_State[] | undefined;
  origin?: SyncedSecret_Origin | undefined;
  nameContains?: string | undefined;
  /** `vaultSecrets/{id}` that it references. */
  vaultSecret?: string | undefined;
  /** What uses it: any resource of a kind, one resource, or nothing at all. */
  usedBy?: { kind?: string; resource?: string; unused?: boolean } | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
}

/** A reference to a secret that is in the vault ("Add from Azure Key Vault"). */
export function existing(
  key: string,
  vaultSecret: string,
  options: { version?: string; encoding?: SecretReference_Encoding; part?: SecretReference_Part } = {},
): Reference {
  return { key, vaultSecret, ...options };
}

/**
 * A reference to a secret that is first created in the vault ("Create new"). Bytes arrive at the edge as they are; the vault keeps
 * them in `storedEncoding`, hex where it is left out.
 */
export function createNew(
  key: string,
  vaultSecret: string,
  value: Secret,
  options: ValueOptions & {
    encoding?: SecretReference_Encoding;
    part?: SecretReference_Part;
    storedEncoding?: SecretReference_Encoding;
  } = {},
): Reference {
  const { encoding, part, storedEncoding, ...rest } = options;
  return { key, vaultSecret, encoding, part, create: { ...rest, encoding: storedEncoding, value: hidden(value) } };
}

// ---- As messages ----

/** References as they are sent: what only the service says is left out. */
export function referencesOf(references: readonly Reference[]): MessageInitShape<typeof SecretReferenceSchema>[] {
  return references.map(({ key, vaultSecret, version, encoding, part, create }) =>
    given({ key, vaultSecret, version, encoding, part, create: create && valueOf(create) }),
  );
}

/** A value as it is sent. */
export function valueOf(value: NewValue): MessageInitShape<typeof NewVaultSecretSchema> {
  const secret = hidden(value.value);
  return given({
    ...(secret instanceof SecretData ? { data: secret.reveal() } : { value: secret.reveal() }),
    encoding: value.encoding,
    contentType: value.contentType,
    notBeforeTime: timeOf(value.notBeforeTime),
    expireTime: timeOf(value.expireTime),
    tags: value.tags,
  });
}

/** A filter as it is sent. */
export function filterOf(filter: Filter): MessageInitShape<typeof SyncedSecretFilterSchema> {
  const { states, origin, nameContains, vaultSecret, usedBy, labels } = filter;
  return given({ states: states && [...states], origin, nameContains, vaultSecret, usedBy, labels });
}

/** A point in time as it is sent. */
export function timeOf(time: Date | Timestamp | undefined): Timestamp | undefined {
  return time instanceof Date ? timestampFromDate(time) : time;
}

/** A span as it is sent. */
export function spanOf(ms: number | undefined): Duration | undefined {
  return ms === undefined ? undefined : durationFromMs(ms);
}

/** The same without what is undefined, which is no value of a field. */
export function given<T extends object>(parts: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
