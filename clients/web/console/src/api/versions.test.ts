import { create } from "@bufbuild/protobuf";
import { VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { newestFirst } from "./versions";

const version = (name: string, seconds: bigint) => create(VaultSecretVersionSchema, { name, createTime: { seconds } });

test("the newest version of all pages comes first, whatever order the vault has", () => {
  const pages = [{ versions: [version("b", 2n), version("a", 1n)] }, { versions: [version("c", 3n)] }];
  expect(newestFirst(pages).map(({ versions }) => versions.map(({ name }) => name))).toEqual([["c", "b"], ["a"]]);
});
