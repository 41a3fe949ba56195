/** What lists and their entries are called: the same as `secret-service secrets certificates` calls them. */

/** The lists that the OPC UA connector looks for, which no resource names. */
export const OPC_UA_TRUST_LIST = "aio-opc-ua-broker-trust-list";
export const OPC_UA_ISSUER_LIST = "aio-opc-ua-broker-issuer-list";

/** Bytes that a file may have at most: the vault keeps it in hex, in 25,600 bytes. */
export const LARGEST_FILE = 12_800;

/** The files that connectors look for in a list. */
export const EXTENSIONS = [".der", ".crt", ".pem", ".crl"] as const;
const LONGEST_VAULT_SECRET = 127;

/** The vault secret of a new entry: `pump.der` in `plant-list` is `plant-list-pump-der`. */
export function vaultSecretOf(list: string, key: string): string {
  return `${list}-${key}`.replace(/[^0-9a-zA-Z]/g, "-").slice(0, LONGEST_VAULT_SECRET);
}

/** Whether a file's name is one that connectors look for. */
export function hasExtension(name: string): boolean {
  return EXTENSIONS.some((extension) => name.toLowerCase().endsWith(extension) && name.length > extension.length);
}

/** The key that a file of this name can have: other characters become hyphens, and Windows' `.cer` what connectors look for. */
export function keyOf(fileName: string): string {
  return fileName
    .replace(/[^0-9a-zA-Z._-]+/g, "-")
    .replace(/^\.+/, "")
    .replace(/\.cer$/i, ".crt");
}

/** The purpose of a new list, by its name; empty where the name says none. */
export function purposeOf(list: string): "trust-list" | "issuer-list" | "" {
  return (["trust-list", "issuer-list"] as const).find((purpose) => list.endsWith(purpose)) ?? "";
}
