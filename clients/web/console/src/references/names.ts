/** What names may look like, and what to call what has none yet. */
import { Encoding, idOf } from "@iotoperations/secret-service-client";

const LONGEST_VAULT_SECRET = 127;
const LONGEST_ID = 253;
const LONGEST_KEY = 253;

/** What is wrong with the name of a vault secret; nothing where all is well. */
export function problemOfVaultSecretName(name: string): string | undefined {
  if (name === "") {
    return "Give it a name.";
  }
  if (!/^[0-9a-zA-Z-]*$/.test(name)) {
    return "A name in Azure Key Vault has letters, digits and hyphens alone.";
  }
  return name.length > LONGEST_VAULT_SECRET ? `A name has at most ${LONGEST_VAULT_SECRET} characters; this one has ${name.length}.` : undefined;
}

/** What is wrong with the name of a synced secret, which is the name of a Kubernetes Secret. */
export function problemOfSyncedSecretName(name: string): string | undefined {
  if (name === "") {
    return "Give it a name.";
  }
  if (name !== name.toLowerCase()) {
    return "The name of a Kubernetes Secret has no capital letters.";
  }
  if (!/^[0-9a-z.-]*$/.test(name)) {
    return "The name of a Kubernetes Secret has lower case letters, digits, hyphens and dots alone.";
  }
  if (!name.split(".").every((part) => /^[0-9a-z]([0-9a-z-]*[0-9a-z])?$/.test(part))) {
    return "Each part between dots begins and ends with a letter or a digit.";
  }
  return name.length > LONGEST_ID ? `A name has at most ${LONGEST_ID} characters; this one has ${name.length}.` : undefined;
}

/** What is wrong with a key of a Kubernetes Secret. */
export function problemOfKey(key: string, others: readonly string[] = []): string | undefined {
  if (key === "") {
    return "Give it a key.";
  }
  if (!/^[0-9a-zA-Z._-]*$/.test(key)) {
    return "A key has letters, digits, hyphens, underscores and dots alone.";
  }
  if (key === "." || key.startsWith("..")) {
    return "A key is not a dot and does not begin with two.";
  }
  if (key.length > LONGEST_KEY) {
    return `A key has at most ${LONGEST_KEY} characters; this one has ${key.length}.`;
  }
  return others.includes(key) ? "Another reference has this key." : undefined;
}

/** A name for a vault secret, of words such as a synced secret's name and a key. */
export function proposedVaultSecretName(...words: readonly string[]): string {
  return words
    .map((word) => hyphenated(word, /[^0-9a-zA-Z]+/g))
    .filter((word) => word !== "")
    .join("-")
    .slice(0, LONGEST_VAULT_SECRET);
}

/** A name for a synced secret: what the names of its vault secrets begin with in common, without those that are taken. */
export function proposedSyncedSecretName(vaultSecrets: readonly string[], isTaken: (name: string) => boolean = () => false): string {
  const words = vaultSecrets.map((name) => hyphenated(idOf(name).toLowerCase(), /[^0-9a-z]+/g).split("-"));
  const [first = [], ...others] = words;
  let shared = first.length;
  for (const other of others) {
    const differs = first.findIndex((word, index) => other[index] !== word);
    shared = Math.min(shared, differs === -1 ? first.length : differs);
  }
  // A single name, or names without a beginning in common, are the name themselves.
  const name = (shared === 0 ? first : first.slice(0, shared)).join("-").slice(0, LONGEST_ID);
  if (name === "") {
    return "";
  }
  let proposed = name;
  for (let number = 2; isTaken(proposed); number++) {
    proposed = `${name}-${number}`;
  }
  return proposed;
}

/** A key for a file, such as one of a trust list. */
export function proposedKey(fileName: string): string {
  return fileName
    .replaceAll(/[^0-9a-zA-Z._-]+/g, "-")
    .replace(/^[.-]+|-+$/g, "")
    .slice(0, LONGEST_KEY);
}

/** How bytes stand in the vault, in a word. */
export function wordsOfEncoding(encoding: Encoding | undefined): string {
  switch (encoding) {
    case Encoding.BASE64:
      return "base64";
    case Encoding.HEX:
      return "hex";
    case Encoding.UTF8:
      return "unchanged";
    default:
      return "";
  }
}

function hyphenated(text: string, other: RegExp): string {
  return text.replaceAll(other, "-").replace(/^-+|-+$/g, "");
}
