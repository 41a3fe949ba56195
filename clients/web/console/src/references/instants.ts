/** Points in time, as somebody enters them: `2026-11-27T20:46` in the local zone or in UTC. */
import type { TimeZone } from "../app/preferences";

/** The point in time; nothing for what is none. */
export function instantOf(text: string, zone: TimeZone): Date | undefined {
  if (!/^\d{4,6}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(text)) {
    return undefined;
  }
  const date = new Date(zone === "utc" ? `${text}Z` : text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The text of a point in time. */
export function textOfInstant(date: Date | undefined, zone: TimeZone): string {
  if (date === undefined) {
    return "";
  }
  const shifted = zone === "utc" ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** What is wrong with two dates, and what may be. */
export function checkedDates(
  activation: Date | undefined,
  expiration: Date | undefined,
  now = new Date(),
): { error?: string; warning?: string } {
  if (activation !== undefined && expiration !== undefined && expiration <= activation) {
    return { error: "It must expire after it is activated." };
  }
  if (expiration !== undefined && expiration <= now) {
    return { warning: "That is in the past. The service refuses what is expired: it would not be synced." };
  }
  if (activation !== undefined && activation > now) {
    return { warning: "Until then it counts as not valid yet. Whether it is synced before that is a setting of the service (sync.not_before)." };
  }
  return {};
}
