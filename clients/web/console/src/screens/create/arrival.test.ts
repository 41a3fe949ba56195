import { create } from "@bufbuild/protobuf";
import { Code, ConditionStatus, NotFoundError, PermissionDeniedError, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import type { LiveSnapshot } from "../../api/live";
import { arrivalOf, type Asked } from "./arrival";

const NAME = "syncedSecrets/pump";
const secret = (state: State, generation = 1n, uid = "own"): SyncedSecret =>
  create(SyncedSecretSchema, {
    name: NAME,
    uid,
    state,
    generation,
    syncedGeneration: state === State.SYNCED ? generation : 0n,
    conditions: [{ type: "Synced", status: state === State.SYNCED ? ConditionStatus.TRUE : ConditionStatus.FALSE }],
  });
const created = secret(State.PENDING);
const watch = (status: LiveSnapshot["status"], seen?: SyncedSecret, heard = 100) => ({ status, heard, byName: new Map(seen && [[NAME, seen]]) });
const asked = (data?: SyncedSecret, dataUpdatedAt = 200, error: Error | null = null): Asked => ({ data, dataUpdatedAt: data === undefined ? 0 : dataUpdatedAt, error });
const NOT_FOUND = new NotFoundError({ message: "no", code: Code.NotFound });
const DENIED = new PermissionDeniedError({ message: "no", code: Code.PermissionDenied });

test("a watch that lives tells how far it is", () => {
  expect(arrivalOf(created, watch("live"), asked())).toEqual({ state: "coming", secret: created });
  expect(arrivalOf(created, watch("live", secret(State.SYNCED)), asked()).state).toBe("at-edge");
  expect(arrivalOf(created, watch("live", secret(State.FAILED)), asked()).state).toBe("failed");
  expect(arrivalOf(created, watch("live", secret(State.DELETING)), asked()).state).toBe("deleting");
});

test("where the watch is denied or broken, the answer to a question tells it", () => {
  expect(arrivalOf(created, watch("failed", undefined, 0), asked(secret(State.SYNCED))).state).toBe("at-edge");
  expect(arrivalOf(created, watch("interrupted", created), asked(secret(State.SYNCED))).state).toBe("at-edge");
  expect(arrivalOf(created, watch("interrupted", secret(State.SYNCED), 300), asked(created, 200)).state).toBe("at-edge");
  expect(arrivalOf(created, watch("failed", undefined, 0), asked(created)).state).toBe("coming");
});

test("where nobody can look, it is unknown since the last look, which there may never have been", () => {
  expect(arrivalOf(created, watch("failed", undefined, 0), asked(undefined, 0, DENIED))).toEqual({ state: "unknown", looked: 0 });
  expect(arrivalOf(created, watch("interrupted", undefined, 100), asked(undefined, 0, DENIED))).toEqual({ state: "unknown", looked: 0 });
  expect(arrivalOf(created, watch("interrupted", created, 100), asked(created, 200, DENIED))).toEqual({ state: "unknown", looked: 200 });
});

test("what was deleted, or made anew by somebody, is gone and not on its way", () => {
  expect(arrivalOf(created, watch("live"), asked(created, 200, NOT_FOUND)).state).toBe("gone");
  expect(arrivalOf(created, watch("failed", undefined, 0), asked(undefined, 0, NOT_FOUND)).state).toBe("gone");
  expect(arrivalOf(created, watch("live", secret(State.SYNCED, 1n, "another")), asked(secret(State.SYNCED, 1n, "another"))).state).toBe("gone");
});

test("a watch that still tells of one before says nothing of this one", () => {
  expect(arrivalOf(created, watch("live", secret(State.DELETING, 9n, "before")), asked()).state).toBe("coming");
});
