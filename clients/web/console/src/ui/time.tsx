/** Times, in the zone that was chosen; the other one and the distance from now stand in the tooltip. */
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { makeStyles } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { usePreferences, type TimeZone } from "../app/preferences";
import { useNow } from "./now";

/** Each with its length in seconds, and from how many on it is used: 47 hours are not called a day. */
const UNITS: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, length: number, from: number])[] = [
  ["year", 365 * 86_400, 2],
  ["month", 30 * 86_400, 2],
  ["day", 86_400, 2],
  ["hour", 3_600, 2],
  ["minute", 60, 1],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const useStyles = makeStyles({ time: { whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" } });

/** A point in time; what to show where there is none is for the caller. */
export function Time({ value, distance = false }: { value: Timestamp | Date | undefined; distance?: boolean }): ReactNode {
  const { timeZone } = usePreferences();
  const styles = useStyles();
  // The distance is from now, and now goes on.
  useNow();
  if (value === undefined) {
    return null;
  }
  const date = value instanceof Date ? value : timestampDate(value);
  const both = `${absolute(date, "local")} (local), ${absolute(date, "utc")}, ${distanceOf(date)}`;
  return (
    // The browser's own tooltip: Fluent's costs a table of hundreds of times its smoothness.
    <time dateTime={date.toISOString()} title={both} className={styles.time}>
      {distance ? distanceOf(date) : absolute(date, timeZone)}
    </time>
  );
}

/** `2026-11-27 20:46`, with `UTC` where it is that. By hand: a formatter of dates costs a table of them its smoothness. */
export function absolute(date: Date, timeZone: TimeZone): string {
  if (timeZone === "utc") {
    return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  }
  const [month, day, hour, minute] = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes()].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${date.getFullYear()}-${month}-${day} ${hour}:${minute}`;
}

/** `in 3 days`, `5 minutes ago`. */
export function distanceOf(date: Date, now = new Date()): string {
  const seconds = (date.getTime() - now.getTime()) / 1_000;
  const [unit, length] = UNITS.find(([, size, from]) => Math.abs(seconds) >= from * size) ?? ["second", 1];
  return unit === "second" && Math.abs(seconds) < 10 ? "just now" : relative.format(Math.trunc(seconds / length), unit);
}
