/** Tags of vault secrets. */

/** The tag by which the service knows what it made; nobody else writes it. */
const RESERVED = "secret-service";

/** Those that people write. */
export function ownTags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => name !== RESERVED));
}

/** `line=4, plant=Hamburg` */
export function wordsOfTags(tags: Readonly<Record<string, string>>): string {
  return linesOfTags(tags).join(", ");
}

/** One a line, as they are entered. */
export function linesOfTags(tags: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(ownTags(tags))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
}

/** Whether two are the same, in whatever order. */
export function sameTags(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  return linesOfTags(one).join("\n") === linesOfTags(other).join("\n");
}
