import { create } from "@bufbuild/protobuf";
import {
  Caller_Authentication as Authentication,
  CallerSchema,
  MethodPermission_Access as Access,
  SecretService,
} from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { rightsOf, wordsOfAuthentication } from "./methods";

test("what a caller may do, for single names, and not; with the reason", () => {
  const caller = create(CallerSchema, {
    permissions: [
      { method: "GetVault", access: Access.ALLOWED },
      { method: "GetSyncedSecret", access: Access.NOT_ALL_NAMES, message: "Grant get." },
      { method: "DeleteSyncedSecret", access: Access.DENIED, message: "Grant delete." },
      { method: "CheckResource", access: Access.UNSPECIFIED },
    ],
    reference: { access: Access.DENIED, message: "Grant use." },
  });
  const { allowed, someNames, denied } = rightsOf(caller);
  expect(allowed.map(({ id }) => id)).toEqual(["GetVault"]);
  expect(someNames.map(({ id }) => id)).toEqual(["GetSyncedSecret"]);
  expect(denied.map(({ words, why }) => [words, why])).toEqual([
    ["delete synced secrets", "Grant delete."],
    ["refer to secrets in the vault (Add from Azure Key Vault)", "Grant use."],
  ]);
});

test("every method of the contract has words", () => {
  const names = SecretService.methods.map(({ name }) => name).filter((name) => name !== "GetCaller");
  const { allowed } = rightsOf(create(CallerSchema, { permissions: names.map((method) => ({ method, access: Access.ALLOWED })) }));
  expect(allowed.filter(({ id, words }) => id === words)).toEqual([]);
});

test("who proved nothing is told so", () => {
  expect(wordsOfAuthentication(Authentication.NONE)).toContain("Not at all");
  expect(wordsOfAuthentication(Authentication.UNSPECIFIED)).toBe("unknown");
});
