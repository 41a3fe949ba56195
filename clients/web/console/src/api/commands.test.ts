import { SecretService } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { commandOf, PLACEHOLDER } from "./commands";

const origin = "http://127.0.0.1:50051";

test("an action is the same line for the CLI and for grpcurl", () => {
  const request = { name: "syncedSecrets/edp1secrets" };
  const { cli, grpcurl } = commandOf(SecretService.method.syncSyncedSecret, request, ["secrets", "sync", "edp1secrets"], { origin });
  expect(cli).toBe("secret-service secrets sync edp1secrets --address 127.0.0.1:50051");
  expect(grpcurl).toBe(
    `grpcurl -plaintext -d '{"name":"syncedSecrets/edp1secrets"}' 127.0.0.1:50051 iotoperations.secrets.v1.SecretService/SyncSyncedSecret`,
  );
});

test("a value is in no line", () => {
  const create = { value: "hunter2", contentType: "text/plain" };
  const request = {
    syncedSecretId: "edp1secrets",
    requestId: "b3d4c6d4-0000-4000-8000-000000000000",
    syncedSecret: { references: [{ key: "password", vaultSecret: "vaultSecrets/p", create }] },
  };
  const { cli, grpcurl } = commandOf(SecretService.method.createSyncedSecret, request, ["secrets", "create", "edp1secrets"], { origin });
  expect(cli + grpcurl).not.toContain("hunter2");
  expect(grpcurl).toContain(PLACEHOLDER);
  expect(grpcurl).not.toContain("request_id");
  const bytes = { parent: "vaultSecrets/p", secret: { data: new TextEncoder().encode("hunter2") } };
  const line = commandOf(SecretService.method.addVaultSecretVersion, bytes, ["vault", "add-version", "p"], { origin }).grpcurl;
  expect(line).not.toContain(btoa("hunter2"));
});

test("a shell takes every word as it is meant, and the token from its environment", () => {
  const { cli, grpcurl } = commandOf(
    SecretService.method.getSyncedSecret,
    { name: "syncedSecrets/it's" },
    ["secrets", "get", "it's"],
    { origin: "https://secrets.example", withToken: true },
  );
  expect(cli).toBe(`secret-service secrets get 'it'\\''s' --address secrets.example:443 --tls`);
  expect(grpcurl).toContain(`-H "authorization: Bearer $SECRET_SERVICE_TOKEN"`);
  expect(grpcurl).toContain(`it'\\''s`);
});

test("a mask is written as grpcurl reads it", () => {
  const request = { vaultSecret: { name: "vaultSecrets/p" }, updateMask: { paths: ["not_before_time", "tags"] } };
  const { grpcurl } = commandOf(SecretService.method.updateVaultSecret, request, ["vault", "update", "p"], { origin });
  expect(grpcurl).toContain(`"update_mask":{"paths":["not_before_time","tags"]}`);
});
