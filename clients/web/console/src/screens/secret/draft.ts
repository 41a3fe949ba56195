/** An edit while it is put together: what was read, what is wanted, and the smallest change that leads there. */
import { Encoding, idOf, Part, type Changes, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";

/** What can be edited of a synced secret. */
export interface Draft {
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly references: readonly Reference[];
}

/** The draft that changes nothing. */
export function draftOf(secret: SyncedSecret): Draft {
  return { description: secret.description, labels: { ...secret.labels }, references: secret.references.map(referenceOf) };
}

/**
 * A reference as it is, with everything said that the service would otherwise choose anew: the part and the encoding stay, whatever
 * the vault secret's tags say by now.
 */
export function referenceOf({ key, vaultSecret, version = "", part, encoding }: Reference): Reference {
  return {
    key,
    vaultSecret,
    version,
    part: part === undefined || part === Part.UNSPECIFIED ? Part.WHOLE : part,
    encoding: encoding === undefined || encoding === Encoding.UNSPECIFIED ? Encoding.UTF8 : encoding,
  };
}

/** Whether two references say the same. */
export function isSame(one: Reference, other: Reference): boolean {
  return (
    one.create === undefined &&
    other.create === undefined &&
    one.key === other.key &&
    one.vaultSecret === other.vaultSecret &&
    (one.version ?? "") === (other.version ?? "") &&
    one.part === other.part &&
    one.encoding === other.encoding
  );
}

/** What leads from one to the other; references one by one, so that others' edits of others survive. */
export function changesOf(read: Draft, wanted: Draft): Changes {
  const before = new Map(read.references.map((reference) => [reference.key, reference]));
  const kept = new Set(wanted.references.map(({ key }) => key));
  const setReferences = wanted.references.filter((reference) => {
    const old = before.get(reference.key);
    return old === undefined || !isSame(old, reference);
  });
  const removeKeys = read.references.map(({ key }) => key).filter((key) => !kept.has(key));
  return {
    ...(setReferences.length > 0 && { setReferences }),
    ...(removeKeys.length > 0 && { removeKeys }),
    ...(!isSameMap(read.labels, wanted.labels) && { labels: wanted.labels }),
    ...(read.description !== wanted.description && { description: wanted.description }),
  };
}

export function isEmpty(changes: Changes): boolean {
  return Object.keys(changes).length === 0;
}

/** The draft with a reference added, or in the place of the one with its key. */
export function withReference(draft: Draft, reference: Reference): Draft {
  const index = draft.references.findIndex(({ key }) => key === reference.key);
  const references = index === -1 ? [...draft.references, reference] : draft.references.with(index, reference);
  return { ...draft, references };
}

export function withoutKey(draft: Draft, key: string): Draft {
  return { ...draft, references: draft.references.filter((reference) => reference.key !== key) };
}

// ---- Two people at once ----

/** What is another by now than it was when it was read. */
export interface Difference {
  readonly what: string;
  readonly before: string;
  readonly now: string;
  readonly yours: string;
  /** Whether the edit would overwrite it. */
  readonly collides: boolean;
}

/** What somebody else changed meanwhile, beside what the edit wants. */
export function differences(read: Draft, now: Draft, yours: Draft): Difference[] {
  const keys = keysOf(read, now, yours);
  const labels = [...new Set([read, now, yours].flatMap((draft) => Object.keys(draft.labels)))].sort();
  const rows = [
    { what: "Description", ...threeOf((draft) => draft.description) },
    ...labels.map((label) => ({ what: `Label ${label}`, ...threeOf(({ labels: all }) => valueOf(all, label)) })),
    ...keys.map((key) => ({ what: `Reference ${key}`, ...threeOf((draft) => wordsOf(draft.references.find((one) => one.key === key))) })),
  ];
  return rows.filter(({ before, now: is }) => before !== is).map((row) => ({ ...row, collides: row.yours !== row.before && row.yours !== row.now }));

  function threeOf(part: (draft: Draft) => string | undefined) {
    const text = (draft: Draft): string => {
      const found = part(draft);
      return found === undefined || found === "" ? "none" : found;
    };
    return { before: text(read), now: text(now), yours: text(yours) };
  }
}

/** The same edit of what is now: what it wants where it wants something else than was read, and what is now elsewhere. */
export function rebased(read: Draft, now: Draft, yours: Draft): Draft {
  const { setReferences = [], removeKeys = [], description } = changesOf(read, yours);
  let draft: Draft = {
    description: description ?? now.description,
    labels: rebasedLabels(read.labels, now.labels, yours.labels),
    references: now.references.filter(({ key }) => !removeKeys.includes(key)),
  };
  for (const reference of setReferences) {
    draft = withReference(draft, reference);
  }
  return draft;
}

function rebasedLabels(read: Draft["labels"], now: Draft["labels"], yours: Draft["labels"]): Record<string, string> {
  const labels = { ...now };
  for (const label of new Set([...Object.keys(read), ...Object.keys(yours)])) {
    const wanted = valueOf(yours, label);
    if (valueOf(read, label) === wanted) {
      continue;
    }
    if (wanted === undefined) {
      Reflect.deleteProperty(labels, label);
    } else {
      labels[label] = wanted;
    }
  }
  return labels;
}

/** The value of a label; a label may have the name of something that every object has. */
function valueOf(labels: Draft["labels"], name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

function keysOf(...drafts: readonly Draft[]): string[] {
  return [...new Set(drafts.flatMap(({ references }) => references.map(({ key }) => key)))];
}

function isSameMap(one: Draft["labels"], other: Draft["labels"]): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === valueOf(other, name));
}

// ---- Labels while they are typed ----

export interface LabelRow {
  readonly name: string;
  readonly value: string;
}

export function rowsOf(labels: Draft["labels"]): LabelRow[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }));
}

/** The labels of rows, and what is wrong with the `rest`, which are none; a row without anything is left out. */
export function labelsOf(rows: readonly LabelRow[]): { labels: Record<string, string>; rest: LabelRow[]; problem?: string } {
  const labels: Record<string, string> = {};
  const rest: LabelRow[] = [];
  let problem: string | undefined;
  for (const { name, value } of rows.map((row) => ({ name: row.name.trim(), value: row.value.trim() }))) {
    if (name === "" && value === "") {
      continue;
    }
    if (name === "" || Object.hasOwn(labels, name)) {
      rest.push({ name, value });
      problem ??= name === "" ? `Give the label with the value ${value} a name.` : `There are two labels ${name}.`;
    } else {
      labels[name] = value;
    }
  }
  return { labels, rest, ...(problem !== undefined && { problem }) };
}

// ---- In words ----

const PARTS: Partial<Record<Part, string>> = {
  [Part.CERTIFICATE]: "the certificate alone",
  [Part.CHAIN]: "the chain of its issuers",
  [Part.PRIVATE_KEY]: "the private key",
  [Part.FULL_CHAIN]: "the certificate and its chain",
  [Part.PFX]: "the PFX file",
};
const ENCODINGS: Partial<Record<Encoding, string>> = {
  [Encoding.BASE64]: "decoded from base64",
  [Encoding.HEX]: "decoded from hex",
};

export function wordsOfPart(part: Part | undefined): string {
  return PARTS[part ?? Part.WHOLE] ?? "the whole value";
}

export function wordsOfDecoding(encoding: Encoding | undefined): string {
  return ENCODINGS[encoding ?? Encoding.UTF8] ?? "unchanged";
}

/**
 * `edp1-password, latest version`; nothing where there is no reference. A reference that the service told says all of itself, see
 * `referenceOf`: where one to be sent leaves out how it is decoded, the service looks at the vault secret's tag.
 */
export function wordsOf(reference: Reference | undefined): string | undefined {
  if (reference === undefined) {
    return undefined;
  }
  const { vaultSecret, version = "", part, encoding = Encoding.UNSPECIFIED, create } = reference;
  const byTag = create === undefined && encoding === Encoding.UNSPECIFIED;
  return [
    `${idOf(vaultSecret)}${create === undefined ? "" : " (new)"}`,
    version === "" ? "latest version" : `pinned to ${version}`,
    ...(PARTS[part ?? Part.WHOLE] === undefined ? [] : [wordsOfPart(part)]),
    ...(byTag ? ["decoded as its tag says"] : ENCODINGS[encoding] === undefined ? [] : [wordsOfDecoding(encoding)]),
  ].join(", ");
}

/** What an edit does, one line each. */
export function linesOf(read: Draft, changes: Changes): string[] {
  const before = new Map(read.references.map((reference) => [reference.key, reference]));
  const set = (changes.setReferences ?? []).map((reference) => {
    const old = before.get(reference.key);
    const now = wordsOf(reference) ?? "";
    return old === undefined ? `Add ${reference.key}: ${now}` : `Change ${reference.key}: ${wordsOf(old) ?? ""} → ${now}`;
  });
  return [
    ...set,
    ...(changes.removeKeys ?? []).map((key) => `Remove ${key} from the edge; the vault keeps its secret`),
    ...linesOfLabels(read.labels, changes.labels),
    ...(changes.description === undefined ? [] : [changes.description === "" ? "Remove the description" : `Describe it as: ${changes.description}`]),
  ];
}

function linesOfLabels(before: Draft["labels"], after: Draft["labels"] | undefined): string[] {
  if (after === undefined) {
    return [];
  }
  const set = Object.entries(after).filter(([name, value]) => valueOf(before, name) !== value);
  return [
    ...set.map(([name, value]) => `Set the label ${name}=${value}`),
    ...Object.keys(before).flatMap((name) => (Object.hasOwn(after, name) ? [] : [`Remove the label ${name}`])),
  ];
}
