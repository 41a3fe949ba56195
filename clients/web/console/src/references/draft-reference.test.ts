import { Encoding, Part, SecretValue } from "@iotoperations/secret-service-client";
import { expect, test } from "vitest";

import { assigned, hasLines, keyFor, newDraft, referenceOf, vaultSecretOf, type Slot, type Source } from "./draft-reference";

const picked = (id: string): Source => ({
  kind: "existing",
  pick: { vaultSecret: `vaultSecrets/${id}`, version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED },
});
const created = (vaultSecret: string, fileName?: string): Source => ({
  kind: "new",
  draft: { vaultSecret, value: new SecretValue("x"), kind: "text", size: 1, revision: "1", ...(fileName !== undefined && { fileName }) },
});
const slot = (key: string, required = true, freeName = false): Slot => ({ key, title: key, required, freeName });

test("a key is that of the file, or of the vault secret, and no other's", () => {
  expect(keyFor(created("ca", "Root CA.pem"), [])).toBe("Root-CA.pem");
  expect(keyFor(created("ca"), ["ca"])).toBe("ca-2");
  expect(keyFor(picked("ca"), [])).toBe("ca");
  expect(keyFor(created("ca", "ca.crl"), ["ca.crl", "ca-2.crl"])).toBe("ca-3.crl");
});

test("a purpose that is chosen later takes the references that fit, and then the others in order", () => {
  const references = [newDraft("historian", picked("a")), newDraft("password", picked("b")), newDraft("more", picked("c"))];
  const slots = [slot("optional", false), slot("username"), slot("password")];
  expect(assigned(references, slots).map(({ key, slot: of }) => [key, of])).toEqual([
    ["username", "username"],
    ["password", "password"],
    ["optional", "optional"],
  ]);
  expect(assigned(references, [slot("password")]).map(({ key, slot: of }) => [key, of])).toEqual([
    ["historian", undefined],
    ["password", "password"],
    ["more", undefined],
  ]);
});

test("a name that somebody gave a key of any name stays, where the slot stays", () => {
  const reference = newDraft("user", picked("a"), "username");
  expect(assigned([reference], [slot("username", true, true)])[0]).toMatchObject({ key: "user", slot: "username" });
  expect(assigned([reference], [slot("username")])[0]).toMatchObject({ key: "username", slot: "username" });
  expect(assigned([reference], [])[0]).not.toHaveProperty("slot");
});

test("a reference is sent as it was put together", () => {
  expect(referenceOf(newDraft("k", picked("a")))).toEqual({ key: "k", vaultSecret: "vaultSecrets/a" });
  expect(referenceOf(newDraft("k", created("b")))).toMatchObject({ key: "k", vaultSecret: "vaultSecrets/b" });
  expect(vaultSecretOf(picked("a"))).toBe("a");
});

test("certificates and keys have several lines, passwords have one", () => {
  expect(["client_cert.pem", "tls.crt", "tls.key", "privateKey", "certificate"].every((key) => hasLines(key))).toBe(true);
  expect(["username", "password", "token", "accessToken"].some((key) => hasLines(key))).toBe(false);
});
