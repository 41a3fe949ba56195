import { SecretData, SecretValue } from "@iotoperations/secret-service-client";
import { expect, test } from "vitest";

import { readFiles, referencesOf } from "./file-drafts";

const file = (name: string, ...parts: BlobPart[]): File => new File(parts, name);

test("each file is a new vault secret under a key of its name", async () => {
  const first = await readFiles([file("ca.pem", "-----BEGIN CERTIFICATE-----\r\n")]);
  const second = await readFiles([file("ca.pem", "x"), file("ca.der", new Uint8Array([0x30, 0]))]);
  const references = referencesOf(first.read, [], "trust");
  const all = [...references, ...referencesOf(second.read, references, "trust")];
  expect(second.problems).toEqual([]);
  expect(all.map(({ key }) => key)).toEqual(["ca.pem", "ca-2.pem", "ca.der"]);
  const drafts = all.map(({ source }) => (source.kind === "new" ? source.draft : undefined));
  expect(drafts.map((draft) => draft?.vaultSecret)).toEqual(["trust-ca-pem", "trust-ca-pem-2", "trust-ca-der"]);
  expect(drafts[0]?.value).toBeInstanceOf(SecretValue);
  expect(drafts[0]?.value.reveal()).toBe("-----BEGIN CERTIFICATE-----\r\n");
  expect(drafts[2]?.value).toBeInstanceOf(SecretData);
});

test("what the vault doesn't take is told by its name, and the others are taken", async () => {
  const files = [file("none"), file("large.bin", new Uint8Array(12_801)), file("huge", new Uint8Array(25_601)), file("good.txt", "x")];
  const { read, problems } = await readFiles(files);
  expect(read.map(({ fileName }) => fileName)).toEqual(["good.txt"]);
  expect(problems.map((problem) => problem.split(" ")[0])).toEqual(["none", "large.bin", "huge"]);
});
