import { create } from "@bufbuild/protobuf";
import { createNew } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema, type SyncedSecret } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { draftOf, withoutKey, withReference } from "./draft";
import { mustDecide, outcomeOf, whyNotSave, withoutMade } from "./edit";

interface State {
  readonly generation?: number;
  readonly uid?: string;
  readonly description?: string;
  readonly labels?: Record<string, string>;
  readonly references?: readonly (readonly [key: string, vaultSecret: string])[];
}

const LOGIN = [
  ["username", "name"],
  ["password", "pass"],
] as const;

function state({ generation = 1, uid = "u", description = "", labels = {}, references = LOGIN }: State = {}): SyncedSecret {
  const etag = `${uid}-${String(generation)}`;
  const refer = references.map(([key, vaultSecret]) => ({ key, vaultSecret: `vaultSecrets/${vaultSecret}` }));
  return create(SyncedSecretSchema, { name: "syncedSecrets/pump-7", etag, uid, generation: BigInt(generation), description, labels, references: refer });
}

const read = state();
const before = draftOf(read);
const pinned = withReference(before, { key: "password", vaultSecret: "vaultSecrets/pass", version: "0af" });

test("an edit is one of the state that was read, so that whoever is second is told", () => {
  const { base, changes } = outcomeOf({ read, current: read, draft: pinned });
  expect(base.etag).toBe("u-1");
  expect(changes.setReferences?.map(({ key }) => key)).toEqual(["password"]);
});

test("what somebody else did to the same key is for a person to decide, and is not overwritten until then", () => {
  const current = state({ generation: 2, references: [LOGIN[0], ["password", "other"]] });
  const edit = { read, current, draft: pinned };
  expect(mustDecide(edit)).toBe(true);
  expect(outcomeOf(edit).base).toBe(read);
});

test("what others did elsewhere stays, and the edit is one of what they left", () => {
  const theirs = { generation: 2, description: "theirs", labels: { line: "4" }, references: [LOGIN[1]] };
  const current = state(theirs);
  const draft = { ...withoutKey(pinned, "username"), labels: { shift: "night" } };
  const edit = { read, current, draft };
  expect(mustDecide(edit)).toBe(false);
  const { base, changes } = outcomeOf(edit);
  expect(base).toBe(current);
  // The key that both removed is removed once, and the label of the other stays.
  expect(changes).toEqual({ setReferences: [pinned.references[1]], labels: { line: "4", shift: "night" } });
});

test("another synced secret of the same name is none of what was edited", () => {
  expect(mustDecide({ read, current: state({ uid: "v" }), draft: pinned })).toBe(true);
});

test("what an own save created, though its answer was lost, is not created again", () => {
  const created = createNew("ca", "vaultSecrets/ca", "value");
  const draft = withReference(before, created);
  const current = state({ generation: 2, references: [...LOGIN, ["ca", "ca"]] });
  expect(outcomeOf({ read, current, draft: withoutMade(draft, [created], current) }).changes).toEqual({});
  // Somebody else's is another one.
  expect(withoutMade(draft, [], current)).toEqual(draft);
  expect(mustDecide({ read, current, draft })).toBe(true);
});

test("a save whose outcome is unknown can be repeated, whatever was changed since", () => {
  const all = { isPending: false, isGone: false, isDeleting: false, isOpen: false, isUndecided: true, labelProblem: "no", isNothing: true };
  expect(whyNotSave({ ...all, isOpen: true })).toBeUndefined();
  expect(whyNotSave({ ...all, isOpen: true, isPending: true })).toBeDefined();
  expect(whyNotSave(all)).toMatch(/decide/);
  expect(whyNotSave({ ...all, isUndecided: false })).toBe("no");
  expect(whyNotSave({ ...all, isUndecided: false, labelProblem: undefined })).toBe("Nothing is changed.");
});
