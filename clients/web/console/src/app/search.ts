/** What stands behind the question mark of each address. What is not as it should be counts as left out. */
import { STATE_NAMES, type StateName } from "../ui/words";

type Raw = Record<string, unknown>;

/** The filters of the synced secrets. */
export interface SecretsSearch {
  /** Part of a name, a key, a vault secret or a user. */
  readonly search?: string;
  readonly state?: readonly StateName[];
  readonly origin?: "managed" | "unmanaged";
  /** `Kind/name` of a resource that uses it; `-` for what nothing uses. */
  readonly usedBy?: string;
  /** Only what refers to this vault secret. */
  readonly vaultSecret?: string;
  /** Only what expires soon or is expired. */
  readonly expiring?: boolean;
  /** Only what may differ from the vault. */
  readonly stale?: boolean;
  readonly sort?: string;
}

export function secretsSearch(raw: Raw): SecretsSearch {
  const names = Array.isArray(raw["state"]) ? raw["state"] : [raw["state"]];
  const state = (Object.keys(STATE_NAMES) as StateName[]).filter((name) => names.includes(name));
  const origin = text(raw["origin"]);
  return given({
    search: text(raw["search"]),
    state: state.length > 0 ? state : undefined,
    origin: origin === "managed" || origin === "unmanaged" ? origin : undefined,
    usedBy: text(raw["usedBy"]),
    vaultSecret: text(raw["vaultSecret"]),
    expiring: raw["expiring"] === true ? true : undefined,
    stale: raw["stale"] === true ? true : undefined,
    sort: text(raw["sort"]),
  });
}

/** With what a new synced secret begins. */
export interface CreateSearch {
  /** The id of a purpose. */
  readonly purpose?: string;
  /** The ids of the vault secrets that it shall refer to, each once: one in the address, or several. */
  readonly vaultSecret?: readonly string[];
}

export function createSearch(raw: Raw): CreateSearch {
  return given({ purpose: text(raw["purpose"]), vaultSecret: texts(raw["vaultSecret"]) });
}

/** The filters of the vault's secrets. */
export interface VaultSearch {
  readonly search?: string;
  readonly unsynced?: boolean;
  readonly sort?: string;
}

export function vaultSearch(raw: Raw): VaultSearch {
  return given({
    search: text(raw["search"]),
    unsynced: raw["unsynced"] === true ? true : undefined,
    sort: text(raw["sort"]),
  });
}

/** The filters of the audit. */
export interface AuditSearch {
  readonly resource?: string;
  readonly actor?: string;
  readonly action?: string;
  /** `OK` or a code; counts more than `failed`. */
  readonly outcome?: string;
  readonly failed?: boolean;
  /** The latest of these hours; all where left out. Counts more than `from` and `until`. */
  readonly hours?: number;
  /** From this time on, in ISO 8601. */
  readonly from?: string;
  /** Before this time, in ISO 8601. */
  readonly until?: string;
}

/** A hundred years: whoever asks for more asks for all. */
const MOST_HOURS = 100 * 366 * 24;

export function auditSearch(raw: Raw): AuditSearch {
  const hours = raw["hours"];
  const latest = typeof hours === "number" && hours > 0 && hours <= MOST_HOURS ? hours : undefined;
  const outcome = text(raw["outcome"]);
  return given({
    resource: text(raw["resource"]),
    actor: text(raw["actor"]),
    action: text(raw["action"]),
    outcome,
    failed: raw["failed"] === true && outcome === undefined ? true : undefined,
    hours: latest,
    from: latest === undefined ? time(raw["from"]) : undefined,
    until: latest === undefined ? time(raw["until"]) : undefined,
  });
}

/** Which lists of certificates are shown. */
export const LIST_KINDS = ["trust", "issuer", "other"] as const;
export type ListKind = (typeof LIST_KINDS)[number];

/** The filters of the certificates. */
export interface CertificatesSearch {
  readonly kind?: ListKind;
  /** The id of one list. */
  readonly list?: string;
  readonly search?: string;
  /** Only what expires soon or is expired. */
  readonly expiring?: boolean;
  readonly sort?: string;
}

export function certificatesSearch(raw: Raw): CertificatesSearch {
  return given({
    kind: LIST_KINDS.find((kind) => kind === raw["kind"]),
    list: text(raw["list"]),
    search: text(raw["search"]),
    expiring: raw["expiring"] === true ? true : undefined,
    sort: text(raw["sort"]),
  });
}

/** The filters of the uses. */
export interface UsesSearch {
  /** Part of a resource, a field, a synced secret or a key. */
  readonly search?: string;
  /** Only resources that can't work. */
  readonly broken?: boolean;
}

export function usesSearch(raw: Raw): UsesSearch {
  return given({ search: text(raw["search"]), broken: raw["broken"] === true ? true : undefined });
}

/** Texts, each once; a single one needs no list. */
function texts(raw: unknown): readonly string[] | undefined {
  const found = (Array.isArray(raw) ? raw : [raw]).map(text).filter((one) => one !== undefined);
  return found.length > 0 ? [...new Set(found)] : undefined;
}

/** The years that a timestamp of the contract can hold. */
const [FIRST, LAST] = [Date.parse("0001-01-01T00:00:00Z"), Date.parse("9999-12-31T23:59:59.999Z")];

/** A point in time, written as everybody writes it. */
function time(raw: unknown): string | undefined {
  const at = typeof raw === "string" ? Date.parse(raw) : NaN;
  return at >= FIRST && at <= LAST ? new Date(at).toISOString() : undefined;
}

/** A text that is not empty; numbers that somebody's search looks like are texts, too. */
function text(raw: unknown): string | undefined {
  if (typeof raw === "number" || typeof raw === "boolean") {
    return String(raw);
  }
  return typeof raw === "string" && raw !== "" ? raw : undefined;
}

function given<T extends object>(parts: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
