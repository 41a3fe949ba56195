/** The words of the CLI for what can be done with one synced secret. */
import { Encoding, idOf, Part, type Changes, type Reference } from "@iotoperations/secret-service-client";

import { ENCODING_NAMES, PART_NAMES } from "../../references/vault-pick";
import type { Draft } from "./draft";

/** `secrets update …`. */
export function updateWords(id: string, read: Draft, changes: Changes, etag: string): string[] {
  const { setReferences = [], removeKeys = [], labels, description } = changes;
  const gone = labels === undefined ? [] : Object.keys(read.labels).filter((name) => !Object.hasOwn(labels, name));
  const set = Object.entries(labels ?? {}).filter(([name, value]) => read.labels[name] !== value);
  return [
    ...["secrets", "update", id],
    ...setReferences.flatMap((reference) => referenceWords(reference, "--set")),
    ...removeKeys.flatMap((key) => ["--remove", key]),
    ...set.flatMap(([name, value]) => ["--label", `${name}=${value}`]),
    ...gone.flatMap((name) => ["--remove-label", name]),
    ...(description === undefined ? [] : ["--description", description]),
    ...(etag === "" ? [] : ["--etag", etag]),
  ];
}

/** `secrets adopt …`. */
export function adoptWords(id: string, references: readonly Reference[]): string[] {
  return ["secrets", "adopt", id, ...references.flatMap((reference) => referenceWords(reference, "--from"))];
}

/** One reference; a new one is asked for its value. */
function referenceWords({ key, vaultSecret, version = "", part, encoding, create }: Reference, flag: string): string[] {
  const from = `${key}=${idOf(vaultSecret)}${version === "" ? "" : `@${version}`}`;
  const partWord = part === undefined || part === Part.WHOLE ? undefined : PART_NAMES[part];
  const encodingWord = encoding === undefined || encoding === Encoding.UTF8 ? undefined : ENCODING_NAMES[encoding];
  return [
    create === undefined ? flag : "--new",
    from,
    ...(partWord === undefined ? [] : ["--part", `${key}=${partWord}`]),
    ...(encodingWord === undefined ? [] : ["--encoding", `${key}=${encodingWord}`]),
  ];
}
