import { create } from "@bufbuild/protobuf";
import { Code, PermissionDeniedError } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { othersOf } from "./others";

const secrets = ["pump-7", "pump-8"].map((id) =>
  create(SyncedSecretSchema, { name: `syncedSecrets/${id}`, references: [{ key: "password", vaultSecret: "vaultSecrets/shared" }] }),
);
const denied = new PermissionDeniedError({ message: "You may not watch.", code: Code.PermissionDenied });
const others = (status: "loading" | "live" | "interrupted" | "failed", known = secrets, error?: PermissionDeniedError) =>
  othersOf({ status, secrets: known, error }, "syncedSecrets/pump-7", "vaultSecrets/shared");

test("who else refers to a vault secret is known only while the watch is live", () => {
  expect(others("live")).toEqual({ names: ["syncedSecrets/pump-8"], doubt: "" });
  expect(others("live", secrets.slice(0, 1))).toEqual({ names: [], doubt: "" });
  expect(others("loading", [])).toEqual({ names: [], doubt: "looking…" });
  expect(others("failed", [], denied)).toEqual({ names: [], doubt: "unknown: You may not watch." });
  expect(others("interrupted", [])).toEqual({ names: [], doubt: "nothing else was known when the connection broke" });
  expect(others("interrupted")).toEqual({ names: ["syncedSecrets/pump-8"], doubt: "maybe others since the connection broke" });
});
