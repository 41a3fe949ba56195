/** The files that somebody chose for a list, and whether each can be an entry of it. */
import type { CertificateFacts } from "@iotoperations/secret-service-client";

import { EXTENSIONS, hasExtension, keyOf, vaultSecretOf } from "./names";

/** A file and what is to become of it. */
export interface ChosenFile {
  /** For React: another one for each choice. */
  readonly id: number;
  readonly fileName: string;
  readonly bytes: Uint8Array;
  /** The certificates or revocation lists in it. */
  readonly facts: readonly CertificateFacts[];
  /** Why it is no entry of a list. */
  readonly error?: string;
  readonly key: string;
  /** The name of its vault secret, where it is another than the usual one. */
  readonly vaultSecret?: string;
}

let chosen = 0;

/** Reads files; what they hold is looked at here in the page. */
export function readFiles(files: readonly File[]): Promise<ChosenFile[]> {
  return Promise.all(files.map(readFile));
}

async function readFile(file: File): Promise<ChosenFile> {
  const base = { id: ++chosen, fileName: file.name, key: keyOf(file.name), facts: [], bytes: new Uint8Array() };
  try {
    // Loaded once there is something to read.
    const { factsOf } = await import("./x509");
    const bytes = new Uint8Array(await file.slice(0, LARGEST_READ).arrayBuffer());
    return { ...base, bytes, facts: await factsOf(bytes) };
  } catch (error) {
    return { ...base, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Enough to say that a file is too large. */
const LARGEST_READ = 1_000_000;

/** What is wrong with a file's entry in a list that has these keys. */
export function problemOf(file: ChosenFile, files: readonly ChosenFile[], taken: readonly string[]): string | undefined {
  const { error, key, id } = file;
  const isDouble = files.some((other) => other.id !== id && other.key === key);
  return error ?? problemOfKey(key, taken) ?? (isDouble ? "Another file here has this name." : undefined);
}

/** What is wrong with the name of a new entry. */
export function problemOfKey(key: string, taken: readonly string[]): string | undefined {
  if (!hasExtension(key)) {
    return `Connectors look for file names that end with ${EXTENSIONS.join(", ")}.`;
  }
  if (!/^[0-9a-zA-Z._-]+$/.test(key) || key.startsWith("..") || key.length > 253) {
    return "A file name has letters, digits, hyphens, underscores and dots alone here, at most 253.";
  }
  return taken.includes(key) ? "The list has an entry with this name. Replace that one, or give this one another name." : undefined;
}

/** The name of the vault secret of a file's entry. */
export function vaultSecretOfFile(list: string, { key, vaultSecret }: ChosenFile): string {
  return vaultSecret ?? vaultSecretOf(list, key);
}
