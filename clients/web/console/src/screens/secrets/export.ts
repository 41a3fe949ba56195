/** The table as a file. It holds names and states; no value is on this page. */
import { Origin, State } from "@iotoperations/secret-service-client";

import { timeInName } from "../../ui/save";
import { endsOf, nextEndOf } from "../../ui/standing";
import { STATE_NAMES } from "../../ui/words";
import type { SecretRow } from "./rows";

/** What a file says of a synced secret. */
interface Line {
  readonly name: string;
  readonly state: string;
  readonly origin: "managed" | "unmanaged";
  readonly references: readonly { readonly key: string; readonly vaultSecret: string; readonly version: string; readonly syncedVersion: string }[];
  /** Null where nobody has looked. */
  readonly usedBy: readonly string[] | null;
  readonly syncTime: string | null;
  /** Null where there is none, and where the caller may not see it. */
  readonly expireTime: string | null;
}

const COLUMNS = ["name", "state", "origin", "keys", "vault secrets", "used by", "sync time", "expire time"] as const;

/** `synced-secrets-2026-11-27T2000Z.csv`: as of when it was so. */
export function fileNameOf(format: "csv" | "json", asOf: number): string {
  return `synced-secrets-${timeInName(new Date(asOf))}.${format}`;
}

export function toJson(rows: readonly SecretRow[], asOf: number): string {
  const content = { asOfTime: iso(asOf), syncedSecrets: rows.map((row) => lineOf(row, asOf)) };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

export function toCsv(rows: readonly SecretRow[], asOf: number): string {
  const lines = rows.map((row) => lineOf(row, asOf)).map((line) => [
    line.name,
    line.state,
    line.origin,
    line.references.map(({ key }) => key).join(" "),
    line.references.map(({ vaultSecret }) => vaultSecret).join(" "),
    line.usedBy === null ? "unknown" : line.usedBy.join(" "),
    line.syncTime ?? "",
    line.expireTime ?? "",
  ]);
  return [COLUMNS, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function lineOf({ secret, id, users, synced }: SecretRow, asOf: number): Line {
  return {
    name: id,
    state: Object.entries(STATE_NAMES).find(([, state]) => state === secret.state)?.[0] ?? State[secret.state].toLowerCase(),
    origin: secret.origin === Origin.UNMANAGED ? "unmanaged" : "managed",
    references: secret.references.map(({ key, vaultSecret, version, syncedVersion }) => ({
      key,
      vaultSecret: vaultSecret.replace("vaultSecrets/", ""),
      version,
      syncedVersion,
    })),
    usedBy: users?.map((user) => user.id) ?? null,
    syncTime: iso(synced),
    expireTime: iso(nextEndOf(endsOf(secret, asOf))?.at),
  };
}

function iso(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}

/** As RFC 4180 has it; and never a formula, which spreadsheets would carry out. */
function cell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
