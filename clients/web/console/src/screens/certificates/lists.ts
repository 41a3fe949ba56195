/** Which synced secrets are lists of certificates, and what stands in them. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  idOf,
  Origin,
  type SecretPurpose,
  type SecretReference,
  type SecretUsage,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";

import type { CertificatesSearch, ListKind } from "../../app/search";
import { earliest, validityOf, type Validity, type ValidityKind } from "../../ui/validity";
import { hasExtension, OPC_UA_ISSUER_LIST, OPC_UA_TRUST_LIST, purposeOf } from "./names";

/** A list. */
export interface CertificateList {
  readonly id: string;
  readonly kind: ListKind;
  /** Absent where there is none yet, and a connector looks for it all the same. */
  readonly secret: SyncedSecret | undefined;
}

/** An entry of a list. */
export interface Entry {
  /** Unique among all lists. */
  readonly id: string;
  readonly list: CertificateList;
  readonly secret: SyncedSecret;
  readonly reference: SecretReference;
}

const PURPOSES: Readonly<Record<string, ListKind>> = { "trust-list": "trust", "issuer-list": "issuer" };

/**
 * The lists, ordered by kind and name. A trust or issuer list is what a resource's field for one names, what a connector finds by its
 * name, or what is named after one. All else that holds certificates counts as `other`.
 */
export function listsOf(
  secrets: readonly SyncedSecret[],
  usages: readonly SecretUsage[],
  purposes: readonly SecretPurpose[],
): CertificateList[] {
  const named = kindsByUse(usages, purposes);
  const lists = secrets.flatMap((secret): CertificateList[] => {
    const id = idOf(secret.name);
    const kind = kindOf(id, named) ?? (hasCertificates(secret) ? "other" : undefined);
    return kind === undefined ? [] : [{ id, kind, secret }];
  });
  for (const id of [OPC_UA_TRUST_LIST, OPC_UA_ISSUER_LIST, ...named.keys()]) {
    if (!lists.some((list) => list.id === id)) {
      lists.push({ id, kind: kindOf(id, named) ?? "other", secret: undefined });
    }
  }
  const order: readonly ListKind[] = ["trust", "issuer", "other"];
  return lists.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind) || (one.id < other.id ? -1 : 1));
}

function kindOf(id: string, named: ReadonlyMap<string, ListKind>): ListKind | undefined {
  return named.get(id) ?? PURPOSES[purposeOf(id)];
}

/** Of synced secrets, by id, the kind of list that a resource takes them for. */
function kindsByUse(usages: readonly SecretUsage[], purposes: readonly SecretPurpose[]): ReadonlyMap<string, ListKind> {
  const kinds = new Map<string, ListKind>();
  for (const usage of usages) {
    for (const { id, fields } of purposes) {
      const kind = PURPOSES[id];
      if (kind !== undefined && fields.some((field) => field.kind === usage.kind && isAt(usage.field, field.field))) {
        kinds.set(idOf(usage.syncedSecret), kind);
      }
    }
  }
  return kinds;
}

/** Whether a field is one of those that a pattern means: `*` is any field, `[*]` any item, `**` everything below. */
export function isAt(field: string, pattern: string): boolean {
  const source = pattern
    .split(/(\*\*|\[\*\]|\*)/)
    .map((part) =>
      part === "**" ? ".*" : part === "*" ? "[^.]*" : part === "[*]" ? "\\[\\d+\\]" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    );
  return new RegExp(`^${source.join("")}$`).test(field);
}

/** Whether what it holds are certificates: as far as they were read, or by the names of its keys. */
export function hasCertificates({ references }: SyncedSecret): boolean {
  return references.some(({ certificate, key }) => certificate !== undefined || hasExtension(key));
}

/** The entries of lists: what is or may be a certificate. Of other synced secrets, passwords beside it are left out. */
export function entriesOf(lists: readonly CertificateList[]): Entry[] {
  return lists.flatMap((list) => {
    const { secret } = list;
    const references = secret?.references.filter(
      ({ certificate, key }) => list.kind !== "other" || certificate !== undefined || hasExtension(key),
    );
    return secret === undefined || references === undefined
      ? []
      : references.map((reference) => ({ id: `${list.id}/${reference.key}`, list, secret, reference }));
  });
}

/** Those that a search is about. */
export function found(entries: readonly Entry[], { kind, list, search = "", expiring = false }: CertificatesSearch, now = new Date()): Entry[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return entries.filter((entry) => {
    if ((kind !== undefined && entry.list.kind !== kind) || (list !== undefined && entry.list.id !== list)) {
      return false;
    }
    if (expiring && !["expired", "soon"].includes(validityOfEntry(entry, now).kind)) {
      return false;
    }
    const text = textOf(entry);
    return words.every((word) => text.includes(word));
  });
}

/** What somebody may look for: also thumbprints, as other tools show them with colons or spaces. */
function textOf({ list, reference }: Entry): string {
  const { certificate } = reference;
  const facts = certificate && [
    certificate.subject,
    certificate.issuer,
    certificate.sha1Thumbprint,
    certificate.sha256Thumbprint,
    ...certificate.subjectAlternativeNames,
  ];
  return [list.id, reference.key, idOf(reference.vaultSecret), ...(facts ?? [])].join(" ").toLowerCase();
}

/** Whether an entry is valid now: by the dates of the certificate or revocation list, or of the vault secret's version, whichever is worse. */
export function validityOfEntry({ reference: { certificate, expireTime } }: Entry, now = new Date()): Validity {
  const { notBeforeTime, expireTime: end, revocationList } = certificate ?? {};
  const own = validityOf({ notBeforeTime, expireTime: end, revocationList }, now);
  const stored = validityOf({ expireTime }, now);
  return WORST_FIRST.indexOf(stored.kind) < WORST_FIRST.indexOf(own.kind) ? stored : own;
}

const WORST_FIRST: readonly ValidityKind[] = ["disabled", "expired", "early", "soon", "valid"];

/** When an entry ends: the certificate itself or the version in the vault; of a revocation list, when the next one is due. */
export function endOf({ certificate, expireTime }: SecretReference): Timestamp | undefined {
  return earliest(certificate?.expireTime, expireTime);
}

/** The references, as `id/key`, that follow the latest version of a vault secret; the vault ignores the case of its name. */
export function followersOf(vaultSecret: string, secrets: readonly SyncedSecret[]): string[] {
  return secrets.flatMap(({ name, references }) =>
    references
      .filter((one) => one.version === "" && one.vaultSecret.toLowerCase() === vaultSecret.toLowerCase())
      .map(({ key }) => `${idOf(name)}/${key}`),
  );
}

/** Why entries of a synced secret can't be changed here; nothing where they can. */
export function unchangeable(secret: SyncedSecret | undefined): string | undefined {
  return secret?.origin === Origin.UNMANAGED ? "Another tool made it. Adopt it first, or change it with that tool." : undefined;
}
