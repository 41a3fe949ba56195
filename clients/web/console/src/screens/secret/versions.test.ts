import { create } from "@bufbuild/protobuf";
import { VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { missingIn, standToVault, type VersionsLook } from "./versions";

const version = (id: string, seconds: bigint) => create(VaultSecretVersionSchema, { name: `vaultSecrets/p/versions/${id}`, createTime: { seconds } });
const [a, b] = [version("a", 1n), version("b", 2n)];
const look = (versions: VersionsLook["versions"], more: Partial<VersionsLook> = {}): VersionsLook => ({
  versions,
  hasMore: false,
  isLooking: false,
  problem: "",
  ...more,
});
const words = (reference: { version?: string; syncedVersion?: string }, at: VersionsLook): string =>
  standToVault({ version: "", syncedVersion: "a", ...reference }, at).words;

test("the edge is compared with the latest version, and of two of the same second it has the latest", () => {
  expect(words({}, look([b, a]))).toBe("The vault has b, which is not at the edge yet.");
  expect(words({ version: "a" }, look([b, a]))).toBe("The vault has a newer one, b.");
  expect(words({}, look([version("b", 2n), version("a", 2n)]))).toBe("It is the latest in the vault.");
});

test("a list that was read before the version at the edge was stored tells nothing", () => {
  expect(missingIn(look([a]), { version: "", syncedVersion: "b" })).toBe("b");
  expect(missingIn(look([a, b]), { version: "a", syncedVersion: "b" })).toBe("");
  expect(words({ syncedVersion: "b" }, look([a], { isLooking: true }))).toBe("looking…");
  expect(words({ syncedVersion: "b" }, look([a], { problem: "No answer." }))).toBe("unknown: No answer.");
  expect(words({ syncedVersion: "b" }, look([a]))).toBe("unknown: the vault doesn't list the version b");
  expect(words({ version: "c" }, look([b, a]))).toBe("unknown: the vault doesn't list the version c");
  expect(words({ syncedVersion: "b" }, look([b, a]))).toBe("It is the latest in the vault.");
});

test("what was not read, or not wholly, is not known", () => {
  expect(words({}, look(undefined, { isLooking: true }))).toBe("looking…");
  expect(words({}, look(undefined, { problem: "No answer." }))).toBe("unknown: No answer.");
  expect(words({}, look([a], { hasMore: true }))).toMatch(/^more versions/);
  expect(missingIn(look([a], { hasMore: true }), { version: "", syncedVersion: "b" })).toBe("");
  expect(words({ syncedVersion: "" }, look([]))).toBe("no version");
});
