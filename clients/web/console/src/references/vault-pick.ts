/** A vault secret that was picked for a reference, and how the reference takes it. */
import { Encoding, existing, Part, type CertificateFacts, type Reference, type SyncedSecret, type VaultSecret } from "@iotoperations/secret-service-client";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";

/** What "Add from Azure Key Vault" hands over. */
export interface VaultPick {
  /** `vaultSecrets/{id}` */
  readonly vaultSecret: string;
  /** Pinned; the latest where empty. */
  readonly version: string;
  readonly part: Part;
  readonly encoding: Encoding;
  /** What the list said of it, for what is shown; absent where it was named only. */
  readonly contentType?: string;
  readonly managed?: boolean;
}

export function pickOf({ name, contentType, managed }: Pick<VaultSecret, "name" | "contentType" | "managed">): VaultPick {
  return { vaultSecret: name, version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED, contentType, managed };
}

export function pickedReferenceOf(key: string, { vaultSecret, version, part, encoding }: VaultPick): Reference {
  return existing(key, vaultSecret, {
    ...(version !== "" && { version }),
    ...(part !== Part.UNSPECIFIED && { part }),
    ...(encoding !== Encoding.UNSPECIFIED && { encoding }),
  });
}

/** The parts, in the words of the page. */
export const PARTS: readonly (readonly [Part, string])[] = [
  [Part.UNSPECIFIED, "Whole value"],
  [Part.CERTIFICATE, "Certificate (PEM)"],
  [Part.PRIVATE_KEY, "Private key (PEM)"],
  [Part.CHAIN, "Chain: the certificates of its issuers (PEM)"],
  [Part.FULL_CHAIN, "Full chain: certificate and chain (PEM)"],
  [Part.PFX, "PFX, as it is"],
];

export const ENCODINGS: readonly (readonly [Encoding, string])[] = [
  [Encoding.UNSPECIFIED, "As the vault secret's tag says"],
  [Encoding.UTF8, "Unchanged"],
  [Encoding.BASE64, "Decode base64"],
  [Encoding.HEX, "Decode hex"],
];

export function wordsOfPart(part: Part | undefined): string {
  return PARTS.find(([known]) => known === part && known !== Part.UNSPECIFIED)?.[1] ?? "";
}

/** Whether a vault secret may hold a certificate, so that it has parts: a text surely not. */
export function mayHoldCertificate({ contentType = "", managed = false }: Pick<VaultPick, "contentType" | "managed">): boolean {
  return managed || !/^(text\/|application\/json)/i.test(contentType);
}

/** What a content type is, in a word. */
export function wordsOfContentType(contentType: string, managed: boolean): string {
  const words: Readonly<Record<string, string>> = {
    "application/x-pkcs12": "Certificate (PFX)",
    "application/x-pem-file": managed ? "Certificate (PEM)" : "PEM",
    "application/pkix-cert": "Certificate (DER)",
    "application/pkix-crl": "Revocation list",
    "text/plain": "Text",
  };
  return words[contentType.toLowerCase()] ?? (contentType || (managed ? "Certificate" : ""));
}

/** How long before its end something expires soon. */
const SOON_MS = 30 * 86_400_000;

/** Whether it can be used, and for how long. */
export type Validity = "disabled" | "expired" | "not-yet" | "soon" | "valid";

export function validityOf(
  secret: { readonly enabled: boolean; readonly notBeforeTime?: Timestamp | undefined; readonly expireTime?: Timestamp | undefined },
  now = Date.now(),
): Validity {
  const expires = secret.expireTime && timestampDate(secret.expireTime).getTime();
  const begins = secret.notBeforeTime && timestampDate(secret.notBeforeTime).getTime();
  if (!secret.enabled) {
    return "disabled";
  }
  if (expires !== undefined && expires <= now) {
    return "expired";
  }
  if (begins !== undefined && begins > now) {
    return "not-yet";
  }
  return expires !== undefined && expires - now < SOON_MS ? "soon" : "valid";
}

/** The facts that the edge told of a certificate in a vault secret, and the synced secret that has it. */
export function factsOf(
  vaultSecret: string,
  secrets: readonly SyncedSecret[],
): { facts: CertificateFacts; syncedSecret: string; version: string } | undefined {
  for (const secret of secrets) {
    for (const reference of secret.references) {
      if (reference.vaultSecret === vaultSecret && reference.certificate !== undefined) {
        return { facts: reference.certificate, syncedSecret: secret.name, version: reference.syncedVersion };
      }
    }
  }
  return undefined;
}

/** The parts, as the CLI names them. */
export const PART_NAMES: Readonly<Partial<Record<Part, string>>> = {
  [Part.CERTIFICATE]: "certificate",
  [Part.PRIVATE_KEY]: "private-key",
  [Part.CHAIN]: "chain",
  [Part.FULL_CHAIN]: "full-chain",
  [Part.PFX]: "pfx",
  [Part.WHOLE]: "whole",
};

/** The encodings, as the CLI names them. */
export const ENCODING_NAMES: Readonly<Partial<Record<Encoding, string>>> = {
  [Encoding.BASE64]: "base64",
  [Encoding.HEX]: "hex",
  [Encoding.UTF8]: "none",
};
