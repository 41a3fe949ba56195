/** From when until when: as addresses have it, as people choose it, and as the audit is asked. */
import type { AuditFilter } from "../../api/audit";
import type { TimeZone } from "../../app/preferences";
import type { AuditSearch } from "../../app/search";

const HOUR_MS = 3_600_000;

/** What people choose from; hours. */
export const SPANS: readonly (readonly [hours: number, words: string])[] = [
  [1, "Last hour"],
  [24, "Last 24 hours"],
  [7 * 24, "Last 7 days"],
  [30 * 24, "Last 30 days"],
];

/** What the audit is asked for; `now` is when the latest hours end. */
export function filterOf({ hours, from, until, failed, ...rest }: AuditSearch, now: number): AuditFilter {
  const since = hours === undefined ? from : new Date(now - hours * HOUR_MS).toISOString();
  return {
    ...rest,
    ...(failed === true && { failedOnly: true }),
    ...(since !== undefined && { since: new Date(since) }),
    ...(until !== undefined && { until: new Date(until) }),
  };
}

/** Whether anything narrows what is shown. */
export function isNarrowed({ resource, actor, action, outcome, failed, hours, from, until }: AuditSearch): boolean {
  return [resource, actor, action, outcome, failed, hours, from, until].some((part) => part !== undefined);
}

/** `2026-11-27T20:46`, as an input for a local date and time takes it, in the zone that was chosen. */
export function inputOf(iso: string | undefined, zone: TimeZone): string {
  if (iso === undefined) {
    return "";
  }
  const date = new Date(iso);
  const shifted = zone === "utc" ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** The point in time that an input means; nothing where it is empty or none. */
export function isoOf(input: string, zone: TimeZone): string | undefined {
  const at = Date.parse(zone === "utc" ? `${input}Z` : input);
  return input === "" || Number.isNaN(at) ? undefined : new Date(at).toISOString();
}

/** What is meant once somebody has left the input: where it still has what it was given, the seconds that it can't show stay. */
export function leftOf(input: string, iso: string | undefined, zone: TimeZone): string | undefined {
  return input === inputOf(iso, zone) ? iso : isoOf(input, zone);
}

/** The words of the CLI that list the same. */
export function wordsOf({ resource, actor, action, outcome, failedOnly, since, until }: AuditFilter): readonly string[] {
  const flag = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [`--${name}`, value]);
  return [
    "audit",
    "list",
    ...flag("resource", resource),
    ...flag("actor", actor),
    ...flag("action", action),
    ...flag("outcome", outcome),
    ...(failedOnly === true ? ["--failed"] : []),
    ...flag("since", since?.toISOString()),
    ...flag("until", until?.toISOString()),
  ];
}
