/** The words of the CLI for what can be done with one synced secret. */
import { Encoding, idOf, Part, type Changes, type Reference } from "@iotoperations/secret-service-client";

import type { Draft } from "./draft";

const PARTS: Partial<Record<Part, string>> = {
  [Part.CERTIFICATE]: "certificate",
  [Part.CHAIN]: "chain",
  [Part.PRIVATE_KEY]: "private-key",
  [Part.FULL_CHAIN]: "full-chain",
  [Part.PFX]: "pfx",
  [Part.WHOLE]: "whole",
};
const ENCODINGS: Partial<Record<Encoding, string>> = {
  [Encoding.BASE64]: "base64",
  [Encoding.HEX]: "hex",
  [Encoding.UTF8]: "none",
};

/** `secrets update …`. */
export function updateWords(id: string, read: Draft, changes: Changes, etag: string): string[] {
  const { setReferences = [], removeKeys = [], labels, description } = changes;
  const gone = labels === undefined ? [] : Object.keys(read.labels).filter((name) => !(name in labels));
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
  const partWord = part === undefined || part === Part.WHOLE ? undefined : PARTS[part];
  const encodingWord = encoding === undefined || encoding === Encoding.UTF8 ? undefined : ENCODINGS[encoding];
  return [
    create === undefined ? flag : "--new",
    from,
    ...(partWord === undefined ? [] : ["--part", `${key}=${partWord}`]),
    ...(encodingWord === undefined ? [] : ["--encoding", `${key}=${encodingWord}`]),
  ];
}
