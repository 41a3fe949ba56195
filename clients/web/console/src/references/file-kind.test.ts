import { expect, test } from "vitest";

import { kindOf, kindOfText, textOf } from "./file-kind";

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const pem = (label: string): string => `-----BEGIN ${label}-----\nMIIB\n-----END ${label}-----\n`;

test("a text in PEM is what its labels say", () => {
  expect(kindOfText("hunter2")).toBe("text");
  expect(kindOfText(pem("CERTIFICATE"))).toBe("pem-certificate");
  expect(kindOfText(pem("X509 CRL"))).toBe("pem-crl");
  expect(kindOfText(pem("RSA PRIVATE KEY"))).toBe("pem-key");
  expect(kindOfText(pem("PRIVATE KEY") + pem("CERTIFICATE"))).toBe("pem-key-and-certificate");
  expect(kindOfText(pem("DH PARAMETERS"))).toBe("pem");
});

test("DER is what its outermost elements say", () => {
  // Certificate: SEQUENCE { SEQUENCE { [0] version, INTEGER serial, … }, … }
  expect(kindOf(hex("3013300ba003020102020101300030003000030100"))).toBe("der-certificate");
  // Of version 1: no [0], and issuer and validity follow the algorithm.
  expect(kindOf(hex("300e3009020101300030003000ff030100"))).toBe("der-certificate");
  // Revocation list: a time follows the issuer.
  expect(kindOf(hex("3010300b02010130003000170a323631313237030100"))).toBe("der-crl");
  expect(kindOf(hex("300c300730003000170161030100"))).toBe("der-crl");
  expect(kindOf(hex("30050201033000"))).toBe("pfx");
  // As some tools write it, without saying how long it is.
  expect(kindOf(hex("308002010330800609"))).toBe("pfx");
  expect(kindOf(hex("300702010030000400"))).toBe("der-key");
  expect(kindOf(hex("30060201010401ff"))).toBe("der-key");
  expect(kindOf(hex("fffe00"))).toBe("bytes");
  expect(kindOf(hex("30"))).toBe("text");
});

test("a text keeps every byte that it has, and bytes are no text", () => {
  expect(textOf(utf8("a\r\nb\n"))).toBe("a\r\nb\n");
  expect(textOf(hex("efbbbf61"))).toBe("\ufeffa");
  expect(textOf(hex("c3"))).toBeUndefined();
  expect(textOf(hex("6100"))).toBeUndefined();
});
