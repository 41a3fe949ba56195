/** What is changed of a version: only what is another than before is sent, so that nobody's other change is overwritten. */
import { timestampDate, timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";

import { ownTags, sameTags } from "./tags";

/** What can be changed of a version. */
export interface Attributes {
  readonly contentType: string;
  readonly notBeforeTime: Date | undefined;
  readonly expireTime: Date | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** What is there of it. */
interface Held {
  readonly contentType: string;
  readonly notBeforeTime?: Timestamp | undefined;
  readonly expireTime?: Timestamp | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

export function attributesOf({ contentType, notBeforeTime, expireTime, tags }: Held): Attributes {
  return {
    contentType,
    notBeforeTime: notBeforeTime && timestampDate(notBeforeTime),
    expireTime: expireTime && timestampDate(expireTime),
    tags: ownTags(tags),
  };
}

/** What to send. Times can't be taken away: the vault keeps them. */
export function changesOf(before: Held, after: Attributes): Partial<Attributes> {
  return {
    ...(after.contentType !== before.contentType && { contentType: after.contentType }),
    ...(isOther(before.notBeforeTime, after.notBeforeTime) && { notBeforeTime: after.notBeforeTime }),
    ...(isOther(before.expireTime, after.expireTime) && { expireTime: after.expireTime }),
    ...(!sameTags(before.tags, after.tags) && { tags: after.tags }),
  };
}

/** What is wanted, on top of what is there now: what was not changed here is as somebody else has it by now. */
export function rebased(before: Held, after: Attributes, now: Held): Attributes {
  const mine = changesOf(before, after);
  const theirs = attributesOf(now);
  const changed = changedTags(ownTags(before.tags), after.tags);
  const [kept, put] = [Object.entries(theirs.tags), Object.entries(after.tags)];
  const tags = [...kept.filter(([name]) => !changed.includes(name)), ...put.filter(([name]) => changed.includes(name))];
  return { ...theirs, ...mine, tags: Object.fromEntries(tags) };
}

/** What somebody else changed meanwhile that was changed here, too, and otherwise: as it is now. */
export function conflictsOf(before: Held, after: Attributes, now: Held): string[] {
  const mine = changesOf(before, after);
  const [held, theirs] = [ownTags(before.tags), ownTags(now.tags)];
  const both = (name: "notBeforeTime" | "expireTime"): boolean =>
    name in mine && isOther(now[name], after[name]) && isOther(before[name], attributesOf(now)[name]);
  const tags = changedTags(held, after.tags).filter((name) => theirs[name] !== held[name] && theirs[name] !== after.tags[name]);
  return [
    ...("contentType" in mine && now.contentType !== before.contentType && now.contentType !== after.contentType
      ? [`content type ${now.contentType === "" ? "none" : `“${now.contentType}”`}`]
      : []),
    ...(both("notBeforeTime") ? [`activation date ${textOf(now.notBeforeTime)}`] : []),
    ...(both("expireTime") ? [`expiration date ${textOf(now.expireTime)}`] : []),
    ...tags.map((name) => (theirs[name] === undefined ? `no tag “${name}”` : `tag “${name}=${theirs[name]}”`)),
  ];
}

function changedTags(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]);
}

function textOf(time: Timestamp | undefined): string {
  return time === undefined ? "none" : timestampDate(time).toISOString();
}

/** To the minute, as people enter them. */
function isOther(before: Timestamp | undefined, after: Date | undefined): boolean {
  const minute = (ms: number): number => Math.floor(ms / 60_000);
  return after !== undefined && (before === undefined || minute(timestampMs(before)) !== minute(after.getTime()));
}

/** The paths of an update mask. */
export function pathsOf(changes: Partial<Attributes>): string[] {
  const names: readonly (readonly [keyof Attributes, string])[] = [
    ["contentType", "content_type"],
    ["notBeforeTime", "not_before_time"],
    ["expireTime", "expire_time"],
    ["tags", "tags"],
  ];
  return names.flatMap(([name, path]) => (name in changes ? [path] : []));
}

/** The flags of `secret-service vault update`. */
export function flagsOf(before: Held, changes: Partial<Attributes>): string[] {
  const { contentType, notBeforeTime, expireTime, tags } = changes;
  const held = ownTags(before.tags);
  return [
    ...(contentType === undefined ? [] : ["--content-type", contentType]),
    ...(notBeforeTime === undefined ? [] : ["--not-before", notBeforeTime.toISOString()]),
    ...(expireTime === undefined ? [] : ["--expires", expireTime.toISOString()]),
    ...Object.entries(tags ?? {}).flatMap(([name, value]) => (held[name] === value ? [] : ["--tag", `${name}=${value}`])),
    ...(tags === undefined ? [] : Object.keys(held).flatMap((name) => (name in tags ? [] : ["--remove-tag", name]))),
  ];
}
