import { create } from "@bufbuild/protobuf";
import { SyncedSecretSchema, VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";

import { show, snapshotOf } from "../../testing";
import { EnableDialog } from "./enable";
import { referrersOf } from "./who";

afterEach(cleanup);

const version = create(VaultSecretVersionSchema, { name: "vaultSecrets/pass/versions/new", enabled: true });
const pump = create(SyncedSecretSchema, { name: "syncedSecrets/pump-7", references: [{ key: "p", vaultSecret: "vaultSecrets/pass" }] });
const props = { id: "pass", version, standing: "latest", referrers: [], unseen: [], onClose: () => undefined } as const;

test("before a version is disabled it is said whom that reaches, and never that it is nobody where nobody looked", () => {
  show(<EnableDialog {...props} referrers={referrersOf("vaultSecrets/pass", [pump])} />, {}, snapshotOf([pump]));
  expect(screen.getByText("It reaches pump-7.")).toBeDefined();
  cleanup();
  show(<EnableDialog {...props} />, {}, snapshotOf([]));
  expect(screen.getByText("No synced secret refers to it.")).toBeDefined();
  cleanup();
  show(<EnableDialog {...props} unseen={["oven"]} />, {}, snapshotOf([], "failed"));
  expect(screen.queryByText(/No synced secret/)).toBeNull();
  expect(screen.getByText(/It may reach oven/)).toBeDefined();
});
