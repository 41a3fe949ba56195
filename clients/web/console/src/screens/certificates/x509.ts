/**
 * What a file with certificates or a revocation list says, read in the page, so that somebody sees it before anything is sent.
 * What an entry of a list may be is what the command line takes, too: certificates and revocation lists, and nothing else.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { CertificateFacts } from "@iotoperations/secret-service-client";
import { CertificateFactsSchema } from "@iotoperations/secret-service-client/v1";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  BasicConstraints,
  Certificate,
  CertificateList,
  id_ce_basicConstraints,
  id_ce_subjectAltName,
  SubjectAlternativeName,
  type GeneralName,
  type Name,
} from "@peculiar/asn1-x509";

import { LARGEST_FILE } from "./names";
import { grouped } from "../../ui/words";

/** What is wrong with a file. */
export class FileError extends Error {}

const NEITHER = "It is neither a certificate nor a revocation list, in PEM or DER.";
const PRIVATE_KEY = "It holds a private key, which does not belong in a list of certificates.";

/** The certificates or revocation lists of a file, in its order; a {@link FileError} where it is no entry of a list. */
export async function factsOf(bytes: Uint8Array): Promise<CertificateFacts[]> {
  if (bytes.length > LARGEST_FILE) {
    throw new FileError(
      `It has ${grouped(bytes.length)} bytes; ${grouped(LARGEST_FILE)} fit into the vault, which keeps it in hex.`,
    );
  }
  const text = textOf(bytes);
  if (text?.trimStart().startsWith("-----BEGIN ") !== true) {
    return [(await ofCertificate(bytes)) ?? (await ofRevocationList(bytes)) ?? refuse(NEITHER)];
  }
  const facts = await Promise.all(blocksOf(text).map(ofBlock));
  return facts.length > 0 ? facts : refuse(NEITHER);
}

async function ofBlock({ label, der }: Block): Promise<CertificateFacts> {
  const read = label === "CERTIFICATE" ? ofCertificate : label === "X509 CRL" ? ofRevocationList : undefined;
  return (await read?.(der)) ?? refuse(NEITHER);
}

interface Block {
  readonly label: string;
  readonly der: Uint8Array;
}

/** The blocks of PEM. */
function blocksOf(text: string): Block[] {
  const blocks = [...text.matchAll(/-----BEGIN ([^-]+)-----([^-]*)-----END \1-----/g)];
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) {
    return refuse(PRIVATE_KEY);
  }
  if (blocks.length !== text.split("-----BEGIN ").length - 1) {
    return refuse(NEITHER);
  }
  return blocks.map(([, label = "", body = ""]) => {
    try {
      return { label, der: Uint8Array.from(atob(body.replace(/\s/g, "")), (character) => character.charCodeAt(0)) };
    } catch {
      return refuse(NEITHER);
    }
  });
}

async function ofCertificate(der: Uint8Array): Promise<CertificateFacts | undefined> {
  const { tbsCertificate: body } = parsed(der, Certificate) ?? {};
  if (body === undefined) {
    return undefined;
  }
  const extension = (id: string): ArrayBuffer | undefined =>
    body.extensions?.find(({ extnID }) => extnID === id)?.extnValue.buffer;
  const names = extension(id_ce_subjectAltName);
  const constraints = extension(id_ce_basicConstraints);
  return create(CertificateFactsSchema, {
    subject: textOfName(body.subject),
    issuer: textOfName(body.issuer),
    subjectAlternativeNames: names === undefined ? [] : [...AsnConvert.parse(names, SubjectAlternativeName)].flatMap(textOfGeneralName),
    notBeforeTime: timestampFromDate(body.validity.notBefore.getTime()),
    expireTime: timestampFromDate(body.validity.notAfter.getTime()),
    isCa: constraints !== undefined && AsnConvert.parse(constraints, BasicConstraints).cA,
    certificateCount: 1,
    ...(await thumbprints(der)),
  });
}

async function ofRevocationList(der: Uint8Array): Promise<CertificateFacts | undefined> {
  const { tbsCertList: body } = parsed(der, CertificateList) ?? {};
  if (body === undefined) {
    return undefined;
  }
  return create(CertificateFactsSchema, {
    issuer: textOfName(body.issuer),
    notBeforeTime: timestampFromDate(body.thisUpdate.getTime()),
    ...(body.nextUpdate && { expireTime: timestampFromDate(body.nextUpdate.getTime()) }),
    revocationList: true,
    ...(await thumbprints(der)),
  });
}

/** The structure, where the bytes are one and nothing follows it. */
function parsed<T>(der: Uint8Array, type: new () => T): T | undefined {
  try {
    return lengthOf(der) === der.length ? AsnConvert.parse(der, type) : undefined;
  } catch {
    return undefined;
  }
}

/** The length of the structure that bytes in DER begin with, as its head says. */
function lengthOf(der: Uint8Array): number {
  const first = der[1] ?? 0;
  if (first < 0x80) {
    return 2 + first;
  }
  const digits = first & 0x7f;
  return der.subarray(2, 2 + digits).reduce((length, byte) => length * 256 + byte, 0) + 2 + digits;
}

/** Of the DER, as Azure shows them; none where the page came over plain http, where browsers have no digests. */
async function thumbprints(der: Uint8Array): Promise<{ sha1Thumbprint?: string; sha256Thumbprint?: string }> {
  if (!("subtle" in crypto)) {
    return {};
  }
  const digest = async (algorithm: string): Promise<string> =>
    [...new Uint8Array(await crypto.subtle.digest(algorithm, new Uint8Array(der)))]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
  return { sha1Thumbprint: await digest("SHA-1"), sha256Thumbprint: await digest("SHA-256") };
}

/** What attributes of a name are called, as the service calls them; others have their number. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.4": "SN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.9": "STREET",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "2.5.4.42": "GN",
  "0.9.2342.19200300.100.1.1": "UID",
  "0.9.2342.19200300.100.1.25": "DC",
  "1.2.840.113549.1.9.1": "Email",
};

/** `O=Contoso, CN=Plant root CA`. */
function textOfName(name: Name): string {
  const parts = [...name].map((set) => [...set].map(({ type, value }) => `${ATTRIBUTES[type] ?? type}=${value.toString()}`).join(" + "));
  return printable(parts.join(", "));
}

function textOfGeneralName(name: GeneralName): string[] {
  const { dNSName, uniformResourceIdentifier, rfc822Name, iPAddress } = name;
  if (dNSName !== undefined) {
    return [printable(`DNS:${dNSName}`)];
  }
  if (uniformResourceIdentifier !== undefined) {
    return [printable(`URI:${uniformResourceIdentifier}`)];
  }
  if (rfc822Name !== undefined) {
    return [printable(`email:${rfc822Name}`)];
  }
  return iPAddress === undefined ? [] : [`IP:${iPAddress}`];
}

/** Whoever made the certificate chose its names: what can't be seen, or turns the direction of what follows, is replaced. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function refuse(problem: string): never {
  throw new FileError(problem);
}
