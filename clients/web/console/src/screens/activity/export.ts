/** The audit as a file: all that the filter selects, page by page. */
import { toJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "@iotoperations/secret-service-client";
import { AuditEventSchema } from "@iotoperations/secret-service-client/v1";

import type { AuditFilter, AuditPage } from "../../api/audit";
import { timeInName } from "../../ui/save";

/** More than this is for the command line; a page holds all of it in memory. */
export const MOST = 100_000;

export type ExportFormat = "csv" | "json";

/** How far it is. */
export interface Collected {
  /** When it was begun: nothing newer than that is sure to be in it. */
  readonly asOf: Date;
  readonly events: readonly AuditEvent[];
  /** Where to go on; empty where all is there. */
  readonly next: string;
}

/** Collects from where it was, until all is there or there are too many. `onPage` is told after each page. */
export async function collect(
  fetchPage: (pageToken: string) => Promise<AuditPage>,
  from: Collected | undefined,
  onPage: (collected: Collected) => void,
  most = MOST,
): Promise<Collected> {
  let collected = from ?? { asOf: new Date(), events: [], next: "" };
  do {
    const { events, nextPageToken } = await fetchPage(collected.next);
    collected = { ...collected, events: [...collected.events, ...events].slice(0, most), next: nextPageToken };
    onPage(collected);
  } while (collected.next !== "" && collected.events.length < most);
  return collected;
}

const HEAD = ["name", "time", "actor", "action", "resource", "outcome", "detail", "request_id"];
/** Spreadsheets read umlauts rightly only after this. */
const BYTE_ORDER_MARK = "\uFEFF";

/** One line for each event; times are UTC. */
export function csvOf(events: readonly AuditEvent[]): string {
  const rows = events.map(({ name, eventTime, actor, action, resource, outcome, detail, requestId }) => [
    ...[name, eventTime ? timestampDate(eventTime).toISOString() : "", actor, action, resource, outcome, detail, requestId],
  ]);
  return BYTE_ORDER_MARK + [HEAD, ...rows].map((row) => `${row.map(cellOf).join(",")}\r\n`).join("");
}

/** A cell that no spreadsheet takes for a formula, whatever somebody chose as a name. */
export function cellOf(text: string): string {
  const harmless = /^[\s\0]*[=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}

/** As the API answers, with what was asked for. */
export function jsonOf({ asOf, events, next }: Collected, filter: AuditFilter): string {
  const content: JsonValue = {
    asOfTime: asOf.toISOString(),
    filter: JSON.parse(JSON.stringify(filter)) as JsonValue,
    complete: next === "",
    auditEvents: events.map((event) => toJson(AuditEventSchema, event)),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** `activity-2026-11-27T2000Z--2026-11-27T2100Z.csv`. */
export function fileNameOf({ since, until }: AuditFilter, format: ExportFormat, asOf: Date): string {
  return `activity-${since ? timeInName(since) : "begin"}--${timeInName(until !== undefined && until < asOf ? until : asOf)}.${format}`;
}
