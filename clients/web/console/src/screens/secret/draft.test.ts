import { create } from "@bufbuild/protobuf";
import { createNew, Encoding, Part, type Reference } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { updateWords } from "./command-words";
import { changesOf, differences, draftOf, isEmpty, labelsOf, linesOf, rebased, withoutKey, withReference, wordsOf } from "./draft";

const read = draftOf(
  create(SyncedSecretSchema, {
    name: "syncedSecrets/edp1secrets",
    description: "line 4",
    labels: { line: "4" },
    references: [
      { key: "username", vaultSecret: "vaultSecrets/edp1-username" },
      { key: "password", vaultSecret: "vaultSecrets/edp1-password", encoding: Encoding.HEX },
    ],
  }),
);
const added: Reference = { key: "ca", vaultSecret: "vaultSecrets/ca", part: Part.CHAIN, encoding: Encoding.UTF8 };
const pinned: Reference = { key: "password", vaultSecret: "vaultSecrets/edp1-password", version: "0af", part: Part.WHOLE, encoding: Encoding.HEX };

test("what is not touched is not sent", () => {
  expect(isEmpty(changesOf(read, read))).toBe(true);
  const changes = changesOf(read, withoutKey(withReference(read, added), "username"));
  expect(changes).toEqual({ setReferences: [added], removeKeys: ["username"] });
});

test("a reference that is pinned keeps its part and its encoding, said in so many words", () => {
  const username = read.references[0];
  expect(username).toMatchObject({ part: Part.WHOLE, encoding: Encoding.UTF8 });
  expect(changesOf(read, withReference(read, pinned))).toEqual({ setReferences: [pinned] });
});

test("what somebody else changed stands beside what was typed, and collides only where both want something else", () => {
  const yours = { ...withReference(read, pinned), description: "mine" };
  const now = { ...withReference(read, added), description: "theirs", labels: { line: "4", shift: "night" } };
  expect(differences(read, now, yours)).toEqual([
    { what: "Description", before: "line 4", now: "theirs", yours: "mine", collides: true },
    { what: "Label shift", before: "none", now: "night", yours: "none", collides: false },
    { what: "Reference ca", before: "none", now: "ca, latest version, the chain of its issuers", yours: "none", collides: false },
  ]);
});

test("an edit put on what is now keeps what others did, but where it wants something else", () => {
  const yours = { ...withoutKey(withReference(read, pinned), "username"), description: "mine", labels: {} };
  const now = { ...withReference(read, added), labels: { line: "4", shift: "night" } };
  expect(rebased(read, now, yours)).toEqual({ description: "mine", labels: { shift: "night" }, references: [pinned, added] });
});

test("what will be done is said line by line, and as words of the CLI", () => {
  const wanted = { ...withoutKey(withReference(withReference(read, added), pinned), "username"), description: "", labels: { shift: "night" } };
  const changes = changesOf(read, wanted);
  expect(linesOf(read, changes)).toEqual([
    "Change password: edp1-password, latest version, decoded from hex → edp1-password, pinned to 0af, decoded from hex",
    "Add ca: ca, latest version, the chain of its issuers",
    "Remove username from the edge; the vault keeps its secret",
    "Set the label shift=night",
    "Remove the label line",
    "Remove the description",
  ]);
  expect(updateWords("edp1secrets", read, changes, "").join(" ")).toBe(
    "secrets update edp1secrets --set password=edp1-password@0af --encoding password=hex --set ca=ca --part ca=chain " +
      "--remove username --label shift=night --remove-label line --description ",
  );
});

test("labels need a name each, and another one each; a row that is none hides no other", () => {
  const row = (name: string, value: string) => ({ name, value });
  expect(labelsOf([row(" line ", "4"), row("", " "), row("constructor", "me")])).toEqual({ labels: { line: "4", constructor: "me" }, rest: [] });
  const typing = labelsOf([row("a", "1"), row("", "2"), row("c", "3"), row("a", "4")]);
  expect(typing).toMatchObject({ labels: { a: "1", c: "3" }, rest: [row("", "2"), row("a", "4")] });
  expect(typing.problem).toMatch(/a name/);
  expect(labelsOf([row("a", "1"), row("a", "2")]).problem).toMatch(/two labels a/);
});

test("how a value is decoded is said, also where only the vault secret's tag says it", () => {
  const picked: Reference = { key: "username", vaultSecret: "vaultSecrets/edp1-username", part: Part.WHOLE };
  expect(linesOf(read, changesOf(read, withReference(read, picked)))).toEqual([
    "Change username: edp1-username, latest version → edp1-username, latest version, decoded as its tag says",
  ]);
  expect(wordsOf(createNew("ca", "vaultSecrets/ca", "value"))).toBe("ca (new), latest version");
});
