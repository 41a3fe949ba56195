import { create } from "@bufbuild/protobuf";
import { Origin, State } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { show, snapshotOf } from "../../testing";
import { BrokenUses } from "./uses";

afterEach(cleanup);

const usage = create(SecretUsageSchema, { kind: "AssetEndpointProfile", resource: "opc-1", field: "spec.user", syncedSecret: "syncedSecrets/raw", key: "a" });
const secret = (origin: Origin, state: State) => create(SyncedSecretSchema, { name: "syncedSecrets/raw", origin, state, references: [{ key: "a" }] });
const synced = snapshotOf([secret(Origin.MANAGED, State.SYNCED)]);
const ALL = /^All 1 field that name a secret name one that is there/;
const service = (...unreachable: string[]) => ({ listSecretUsages: vi.fn(() => ({ usages: [usage], unreachable })) });

test("that all is there is said only where the service knows every key and every kind", async () => {
  show(<BrokenUses usages={[usage]} />, service(), synced);
  expect(screen.getByText(ALL)).toBeDefined();
  for (const snapshot of [
    snapshotOf([secret(Origin.UNMANAGED, State.SYNCED)]),
    snapshotOf([secret(Origin.MANAGED, State.FAILED)]),
    snapshotOf([]),
    { ...synced, status: "interrupted" as const },
  ]) {
    cleanup();
    show(<BrokenUses usages={[usage]} />, service(), snapshot);
    expect(screen.queryByText(ALL)).toBeNull();
    expect(screen.getByText(/none is known to name what is not there/)).toBeDefined();
  }
  cleanup();
  show(<BrokenUses usages={[usage]} />, service("DataflowEndpoint.connectivity.iotoperations.azure.com"), synced);
  await waitFor(() => expect(screen.queryByText(ALL)).toBeNull());
  cleanup();
  show(<BrokenUses usages={[]} />, service("DataflowEndpoint.connectivity.iotoperations.azure.com"), synced);
  await screen.findByText("No resource that the service can read names a secret.");
});
