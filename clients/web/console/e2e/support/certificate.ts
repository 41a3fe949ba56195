/** A certificate for a server on loopback, signed by the authority of a `dev`: as much X.509 as that takes. */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const SEQUENCE = 0x30;
const SET = 0x31;
const ECDSA_WITH_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");
const COMMON_NAME = Buffer.from("0603550403", "hex");
const SUBJECT_ALTERNATIVE_NAME = Buffer.from("0603551d11", "hex");
const DAY_MS = 86_400_000;

/** A certificate and its key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** For `localhost` and 127.0.0.1, valid for a day. */
export function certificateFor(dataDirectory: string): Identity {
  const authority = new X509Certificate(readFileSync(join(dataDirectory, "ca.pem")));
  const authorityKey = createPrivateKey(readFileSync(join(dataDirectory, "ca.key")));
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [algorithm, now] = [der(SEQUENCE, ECDSA_WITH_SHA256), Date.now()];
  const names = der(SEQUENCE, der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1])));
  const asked = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    subjectOf(authority),
    der(SEQUENCE, time(now - DAY_MS), time(now + DAY_MS)),
    der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(0x0c, Buffer.from("localhost"))))),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(SEQUENCE, der(SEQUENCE, SUBJECT_ALTERNATIVE_NAME, der(0x04, names)))),
  );
  const signature = sign("sha256", asked, authorityKey);
  const certificate = der(SEQUENCE, asked, algorithm, der(0x03, Buffer.from([0]), signature));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** The encoded subject: after version, serial number, algorithm, issuer and validity. */
function subjectOf(certificate: X509Certificate): Buffer {
  const [body] = parts(certificate.raw);
  const subject = body && parts(body)[5];
  if (subject === undefined) {
    throw new Error("the authority has no subject");
  }
  return subject;
}

/** What an element consists of. */
function parts(element: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let at = headerLength(element, 0);
  while (at < element.length) {
    const end = at + headerLength(element, at) + contentLength(element, at);
    found.push(element.subarray(at, end));
    at = end;
  }
  return found;
}

function headerLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function contentLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? first : bytes.readUIntBE(at + 2, first & 0x7f);
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** GeneralizedTime. */
function time(at: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]|\.\d+Z/g, "")}Z`));
}
