import { createNew, Encoding, SecretData } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { commandOf } from "../../api/commands";
import { shown } from "./edit-commands";

test("the lines of a new reference have all that was entered but its value", () => {
  const options = { expireTime: new Date("2030-01-02T03:04:05Z"), tags: { line: "4" }, contentType: "text/plain", storedEncoding: Encoding.BASE64 };
  const references = [
    shown(createNew("password", "vaultSecrets/p", "CANARY", options)),
    shown(createNew("ca", "vaultSecrets/ca", new SecretData(new TextEncoder().encode("CANARY")))),
  ];
  const request = { syncedSecret: { name: "syncedSecrets/a" }, setReferences: references };
  const { grpcurl } = commandOf(SecretService.method.updateSyncedSecret, request, [], { origin: "https://console.test" });
  for (const part of ['"expire_time":"2030-01-02T03:04:05Z"', '"tags":{"line":"4"}', '"content_type":"text/plain"', '"encoding":"ENCODING_BASE64"', '"value":"THE-VALUE"', `"data":"${btoa("THE-VALUE")}"`]) {
    expect(grpcurl).toContain(part);
  }
  expect(grpcurl).not.toContain("CANARY");
  expect(grpcurl).not.toContain(btoa("CANARY"));
});
