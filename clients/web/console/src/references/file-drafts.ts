/** Files as new vault secrets, each under a key of its name: a trust list is made of them. */
import { newId, SecretData, SecretValue } from "@iotoperations/secret-service-client";

import { keyFor, newDraft, type DraftReference } from "./draft-reference";
import { kindOf, textOf } from "./file-kind";
import { proposedVaultSecretName } from "./names";
import { LARGEST_VALUE, sizeOf } from "./size";

/** The references that the files become, and what is wrong with the others. */
export interface FromFiles {
  readonly references: readonly DraftReference[];
  readonly problems: readonly string[];
}

/** Reads files into references beside `others`. The names in the vault begin with `prefix`, where there is one. */
export async function referencesOfFiles(files: readonly File[], others: readonly DraftReference[], prefix = ""): Promise<FromFiles> {
  const references: DraftReference[] = [];
  const problems: string[] = [];
  for (const file of files) {
    const read = await readFile(file);
    if (typeof read === "string") {
      problems.push(read);
      continue;
    }
    const taken = [...others, ...references].flatMap(({ source }) => (source.kind === "new" ? [source.draft.vaultSecret] : []));
    const draft = {
      ...read,
      vaultSecret: freeName(proposedVaultSecretName(prefix, file.name), taken),
      fileName: file.name,
      revision: newId(),
    };
    const source = { kind: "new", draft } as const;
    const keys = [...others, ...references].map(({ key }) => key);
    references.push(newDraft(keyFor(source, keys), source));
  }
  return { references, problems };
}

async function readFile(file: File) {
  // What is far too large is not read at all.
  if (file.size > LARGEST_VALUE) {
    return `${file.name} has ${file.size.toLocaleString("en")} bytes, and the vault takes ${LARGEST_VALUE.toLocaleString("en")}.`;
  }
  if (file.size === 0) {
    return `${file.name} is empty.`;
  }
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = textOf(bytes);
    const value = text === undefined ? new SecretData(bytes) : new SecretValue(text);
    const { size, stored } = sizeOf(value);
    return stored > LARGEST_VALUE ? `${file.name} is too large: the vault keeps bytes as hex, twice as long.` : { value, size, kind: kindOf(bytes) };
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
