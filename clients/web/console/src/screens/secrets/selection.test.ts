import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { selectedOf, selectionOf } from "./selection";

const known = (...all: [name: string, uid: string][]) =>
  new Map(all.map(([name, uid]) => [name, create(SyncedSecretSchema, { name, uid })] as const));

test("what is selected is what has the name now, for as long as it is there", () => {
  const selection = selectionOf(["a", "b", "none"], known(["a", "1"], ["b", "2"], ["c", "3"]));
  expect([...selection]).toEqual([["a", "1"], ["b", "2"]]);
  expect(selectedOf(selection, known(["b", "2"])).map(({ name }) => name)).toEqual(["b"]);
});

test("another one that somebody made under the name is not selected", () => {
  const selection = selectionOf(["a"], known(["a", "1"]));
  expect(selectedOf(selection, known())).toEqual([]);
  expect(selectedOf(selection, known(["a", "another"]))).toEqual([]);
});
