/** What a value is, by a look at its first bytes. The look is taken here in the page, and nothing is sent for it. */

/** What a file or a text can be. */
export type FileKind =
  | "pem-certificate"
  | "pem-crl"
  | "pem-key"
  | "pem-key-and-certificate"
  | "pem"
  | "der-certificate"
  | "der-crl"
  | "der-key"
  | "pfx"
  | "text"
  | "bytes";

const WORDS: Readonly<Record<FileKind, string>> = {
  "pem-certificate": "certificate in PEM",
  "pem-crl": "certificate revocation list in PEM",
  "pem-key": "private key in PEM",
  "pem-key-and-certificate": "private key and certificate in PEM",
  pem: "PEM",
  "der-certificate": "certificate in DER",
  "der-crl": "certificate revocation list in DER",
  "der-key": "private key in DER",
  pfx: "PFX (PKCS #12)",
  text: "text",
  bytes: "bytes",
};

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const VERSION = 0xa0;
const TIMES: readonly (number | undefined)[] = [0x17, 0x18];

export function wordsOfKind(kind: FileKind): string {
  return WORDS[kind];
}

/** What bytes are. */
export function kindOf(bytes: Uint8Array): FileKind {
  const text = textOf(bytes);
  return text === undefined ? kindOfDer(bytes) : kindOfText(text);
}

/** What a text is. */
export function kindOfText(text: string): FileKind {
  const labels = new Set([...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((found) => found[1] ?? ""));
  if (labels.size === 0) {
    return "text";
  }
  const hasKey = [...labels].some((label) => label.endsWith("PRIVATE KEY"));
  const hasCertificate = [...labels].some((label) => label.endsWith("CERTIFICATE"));
  if (hasKey) {
    return hasCertificate ? "pem-key-and-certificate" : "pem-key";
  }
  return hasCertificate ? "pem-certificate" : labels.has("X509 CRL") ? "pem-crl" : "pem";
}

/** The text that bytes are, with every byte of it; nothing where they are no text. */
export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) {
    return undefined;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** By the tags of the outermost elements: that is all that tells a certificate from a list, a key and a PFX. */
function kindOfDer(bytes: Uint8Array): FileKind {
  const outer = tagsOf(bytes, 0);
  const [body] = outer;
  if (body === undefined) {
    return "bytes";
  }
  const next = outer[1]?.tag;
  if (body.tag === SEQUENCE) {
    const tags = tagsOf(bytes, body.at).map(({ tag }) => tag);
    const [first, ...rest] = tags[0] === VERSION || tags[0] === INTEGER ? tags.slice(1) : tags;
    if (tags[0] === VERSION && first === INTEGER) {
      return "der-certificate";
    }
    if (first === SEQUENCE && rest[0] === SEQUENCE) {
      return TIMES.includes(rest[1]) ? "der-crl" : rest[1] === SEQUENCE ? "der-certificate" : "bytes";
    }
    return "bytes";
  }
  if (body.tag !== INTEGER) {
    return "bytes";
  }
  const version = bytes[body.at + 2];
  if (version === 3 && next === SEQUENCE) {
    return "pfx";
  }
  const isKey = (version === 0 && (next === SEQUENCE || next === INTEGER)) || (version === 1 && next === OCTET_STRING);
  return isKey ? "der-key" : "bytes";
}

interface Element {
  readonly tag: number;
  /** Where it begins. */
  readonly at: number;
}

const ELEMENTS = 6;

/** The first elements within the one that begins at `at`; none where that is no SEQUENCE. */
function tagsOf(bytes: Uint8Array, at: number): Element[] {
  if (bytes[at] !== SEQUENCE) {
    return [];
  }
  const outer = lengthAt(bytes, at + 1);
  const found: Element[] = [];
  let position = outer.end;
  const end = Math.min(bytes.length, outer.end + outer.length);
  while (position < end && found.length < ELEMENTS) {
    found.push({ tag: bytes[position] ?? 0, at: position });
    const { end: begins, length } = lengthAt(bytes, position + 1);
    position = begins + length;
  }
  return found;
}

/** A length of DER or BER, and where it ends. An indefinite one, as some PFX have it, reaches to the end of the file. */
function lengthAt(bytes: Uint8Array, at: number): { length: number; end: number } {
  const first = bytes[at] ?? 0;
  if (first === 0x80) {
    return { length: bytes.length, end: at + 1 };
  }
  if (first < 0x80) {
    return { length: first, end: at + 1 };
  }
  const size = first & 0x7f;
  let length = 0;
  for (const byte of bytes.subarray(at + 1, at + 1 + size)) {
    length = length * 256 + byte;
  }
  return { length, end: at + 1 + size };
}
