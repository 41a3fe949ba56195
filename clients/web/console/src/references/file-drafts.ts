/** Files as new vault secrets, each under a key of its name: a trust list is made of them. */
import { newId, SecretData, SecretValue } from "@iotoperations/secret-service-client";

import { keyFor, newDraft, type DraftReference } from "./draft-reference";
import { kindOf, textOf } from "./file-kind";
import { proposedVaultSecretName } from "./names";
import type { NewSecretDraft } from "./secret-draft";
import { LARGEST_VALUE, sizeOf } from "./size";
import { grouped } from "../ui/words";

/** A file's content. */
export interface ReadFile extends Pick<NewSecretDraft, "value" | "size" | "kind"> {
  readonly fileName: string;
}

/** Reads files, and says what is wrong with those that can't be taken. */
export async function readFiles(files: readonly File[]): Promise<{ read: readonly ReadFile[]; problems: readonly string[] }> {
  const all = await Promise.all(files.map(readFile));
  return { read: all.filter((one) => typeof one !== "string"), problems: all.filter((one) => typeof one === "string") };
}

/** The references that files become beside `others`. The names in the vault begin with `prefix`, where there is one. */
export function referencesOf(files: readonly ReadFile[], others: readonly DraftReference[], prefix = ""): DraftReference[] {
  const references: DraftReference[] = [];
  for (const file of files) {
    const taken = [...others, ...references].flatMap(({ source }) => (source.kind === "new" ? [source.draft.vaultSecret] : []));
    const vaultSecret = freeName(proposedVaultSecretName(prefix, file.fileName), taken);
    const source = { kind: "new", draft: { ...file, vaultSecret, revision: newId() } } as const;
    const keys = [...others, ...references].map(({ key }) => key);
    references.push(newDraft(keyFor(source, keys), source));
  }
  return references;
}

async function readFile(file: File): Promise<ReadFile | string> {
  // What is far too large is not read at all.
  if (file.size > LARGEST_VALUE) {
    return `${file.name} has ${grouped(file.size)} bytes, and the vault takes ${grouped(LARGEST_VALUE)}.`;
  }
  if (file.size === 0) {
    return `${file.name} is empty.`;
  }
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = textOf(bytes);
    const value = text === undefined ? new SecretData(bytes) : new SecretValue(text);
    const { size, stored } = sizeOf(value);
    return stored > LARGEST_VALUE ? `${file.name} is too large: the vault keeps bytes as hex, twice as long.` : { value, size, kind: kindOf(bytes), fileName: file.name };
  } catch {
    return `${file.name} can't be read.`;
  }
}

function freeName(name: string, taken: readonly string[]): string {
  let free = name || "file";
  for (let number = 2; taken.includes(free); number++) {
    free = `${name}-${number}`;
  }
  return free;
}
