import { create } from "@bufbuild/protobuf";
import { State } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema, type SyncedSecret } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { wayOf, type Followed } from "./follow";

interface At {
  readonly uid?: string;
  readonly version?: string;
  readonly vaultSecret?: string;
}

const secret = (state: State, generation: bigint, syncedGeneration: bigint, syncedVersion = "a", { uid = "u", version = "", vaultSecret = "p" }: At = {}) =>
  create(SyncedSecretSchema, {
    ...{ uid, state, generation, syncedGeneration },
    references: [{ key: "password", vaultSecret: `vaultSecrets/${vaultSecret}`, version, syncedVersion }],
    conditions: [{ type: "Synced", message: "The vault can't be reached." }],
  });
/** Accepted at the time 10. */
const accepted = (of: SyncedSecret): Followed => ({ what: "It", accepted: { secret: of, at: 10 } });
const rotated: Followed = { what: "It", version: { key: "password", vaultSecret: "vaultSecrets/p", version: "b", before: "a", uid: "u" } };
const step = (read: SyncedSecret, followed: Followed, readAt = 20) => wayOf(read, readAt, followed).step;

test("a change is there when the edge has its generation, not before", () => {
  const change = accepted(secret(State.PENDING, 2n, 1n));
  expect(step(secret(State.SYNCED, 1n, 1n), change)).toBe("going");
  expect(step(secret(State.FAILED, 1n, 1n), change)).toBe("going");
  expect(step(secret(State.PENDING, 2n, 1n), change)).toBe("going");
  expect(wayOf(secret(State.DEGRADED, 2n, 1n), 20, change)).toMatchObject({ step: "failed", message: "The vault can't be reached." });
  expect(step(secret(State.SYNCED, 3n, 3n), change)).toBe("there");
});

test("what was read before the service accepted it says nothing of it", () => {
  const before = secret(State.SYNCED, 1n, 1n);
  expect(step(before, accepted(secret(State.PENDING, 1n, 1n)), 5)).toBe("going");
  expect(step(before, accepted(secret(State.DEGRADED, 1n, 1n)), 5)).toBe("failed");
  expect(step(secret(State.DEGRADED, 1n, 1n), accepted(before), 5)).toBe("there");
  expect(step(before, accepted(secret(State.PENDING, 1n, 1n)), 20)).toBe("there");
  // What is adopted is another one than what was found at the edge.
  expect(step(secret(State.SYNCED, 0n, 0n, "a", { uid: "found" }), accepted(secret(State.PENDING, 1n, 0n)), 5)).toBe("going");
});

test("a value is rotated when the edge has its version", () => {
  expect(step(secret(State.SYNCED, 1n, 1n, "a"), rotated)).toBe("going");
  expect(step(secret(State.SYNCED, 1n, 1n, "b"), rotated)).toBe("there");
});

test("what the edge never gets is not on its way for ever", () => {
  const overtaken = (read: SyncedSecret, followed = rotated): string => {
    const { step: is, message } = wayOf(read, 20, followed);
    expect(is).toBe("overtaken");
    return message;
  };
  expect(overtaken(secret(State.SYNCED, 1n, 1n, "c"))).toBe("The edge has another version by now, c.");
  expect(overtaken(secret(State.SYNCED, 2n, 2n, "a", { version: "a" }))).toMatch(/pinned to another version/);
  expect(overtaken(secret(State.SYNCED, 2n, 2n, "a", { vaultSecret: "q" }))).toMatch(/takes another vault secret/);
  expect(overtaken(create(SyncedSecretSchema, { uid: "u", state: State.SYNCED }))).toBe("There is no key password any more.");
  expect(overtaken(secret(State.DELETING, 1n, 1n))).toBe("It is being deleted.");
  const anew = secret(State.SYNCED, 1n, 1n, "a", { uid: "v" });
  expect(overtaken(anew)).toMatch(/made anew/);
  expect(overtaken(anew, accepted(secret(State.PENDING, 2n, 1n)))).toMatch(/made anew/);
});
