import { readFileSync } from "node:fs";
import { join } from "node:path";

import { timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { factsOf } from "./x509";

// The files by which the service's own reading of certificates is tested.
const FILES = join(import.meta.dirname, "../../../../../../crates/model/testdata/certificates");
const file = (name: string): Uint8Array => new Uint8Array(readFileSync(join(FILES, name)));
const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

test("a certificate says whose it is, as the service says it", async () => {
  const [facts] = await factsOf(file("rsa.crt.pem"));
  expect(facts).toMatchObject({
    subject: "CN=rsa.example.com",
    issuer: "O=Contoso, CN=Test intermediate",
    subjectAlternativeNames: ["DNS:rsa.example.com", "IP:10.0.0.4", "URI:urn:pump"],
    isCa: false,
    revocationList: false,
  });
  expect(facts?.sha1Thumbprint).toMatch(/^[0-9A-F]{40}$/);
  expect(facts?.sha256Thumbprint).toMatch(/^[0-9A-F]{64}$/);
  expect(await factsOf(file("rsa.der"))).toEqual([facts]);
});

test("a file may hold several, and says of each what it is", async () => {
  const facts = await factsOf(joined(file("root.pem"), file("intermediate.pem")));
  expect(facts.map(({ isCa }) => isCa)).toEqual([true, true]);
});

test("a revocation list says whose it is and when the next one is due", async () => {
  for (const name of ["root.crl", "root.crl.pem"]) {
    const [facts] = await factsOf(file(name));
    expect(facts).toMatchObject({ revocationList: true, issuer: "CN=Test root", subject: "" });
    const [issued, due] = [facts?.notBeforeTime, facts?.expireTime].map((time) => time && timestampDate(time).getTime());
    expect(due).toBeGreaterThan(issued ?? 0);
  }
});

test("nothing else is an entry of a list", async () => {
  const key = file("rsa.pkcs8.pem");
  await expect(factsOf(key)).rejects.toThrow("private key");
  await expect(factsOf(joined(file("rsa.crt.pem"), key))).rejects.toThrow("private key");
  const neither = [
    new TextEncoder().encode("hunter2"),
    new TextEncoder().encode("-----BEGIN CERTIFICATE-----"),
    new TextEncoder().encode("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"),
    joined(file("rsa.der"), Uint8Array.of(0)),
    new Uint8Array(),
  ];
  for (const bytes of neither) {
    await expect(factsOf(bytes)).rejects.toThrow("neither");
  }
  await expect(factsOf(new Uint8Array(12_801))).rejects.toThrow("12,800");
});
