import { Code, DeadlineExceededError, PermissionDeniedError, State, UnauthenticatedError, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { AT_MOST, outcomeOf, sumsOf, syncMany, tally, type Outcome, type Outcomes } from "./sync-many";

function secret(name: string, more: MessageInitShape<typeof SyncedSecretSchema> = {}): SyncedSecret {
  return create(SyncedSecretSchema, { name, state: State.SYNCED, generation: 1n, syncedGeneration: 1n, ...more });
}

const NAMES = Array.from({ length: 12 }, (_, index) => `syncedSecrets/${index}`);
const run = (sync: (name: string) => Promise<SyncedSecret>, onChange: (outcomes: Outcomes) => void = () => undefined, stop = new AbortController()) =>
  syncMany({ names: NAMES, sync, onChange, signal: stop.signal });

test("a few at a time, each with an outcome of its own", async () => {
  let [now, most] = [0, 0];
  const outcomes = await run(async (name) => {
    most = Math.max(most, ++now);
    await Promise.resolve();
    now--;
    if (name.endsWith("/3")) {
      throw new Error("The vault can't be reached.");
    }
    return secret(name, name.endsWith("/5") ? { state: State.PENDING } : {});
  });
  expect(most).toBe(AT_MOST);
  expect(tally(outcomes)).toEqual({ waiting: 0, running: 0, synced: 10, pending: 1, failed: 1, unknown: 0, stopped: 0 });
  expect(outcomes.get("syncedSecrets/3")).toEqual({ kind: "failed", message: "The vault can't be reached." });
});

test("the sums are all that were chosen, also while some are being synced", () => {
  const kinds = ["synced", "running", "running", "waiting", "pending", "stopped"] as const;
  const outcomes: Outcomes = new Map<string, Outcome>([...kinds.map((kind, index) => [String(index), { kind }] as const), ["failed", { kind: "failed", message: "No." }], ["unknown", { kind: "unknown", message: "?" }]]);
  expect(sumsOf(outcomes)).toBe("1 in sync, 1 failed, 1 not known, 1 not at the edge yet, 2 being synced, 1 waiting, 1 not asked for.");
  expect(sumsOf(new Map([["a", { kind: "synced" }]]))).toBe("1 in sync.");
});

test("progress is told as it comes, from the beginning on", async () => {
  const told: Outcomes[] = [];
  await run((name) => Promise.resolve(secret(name)), (outcomes) => told.push(outcomes));
  expect(tally(told[0] ?? new Map())).toMatchObject({ waiting: 12 });
  expect(told.map((outcomes) => tally(outcomes).synced)).toEqual(told.map((outcomes) => tally(outcomes).synced).sort((a, b) => a - b));
});

test("once stopped, what is under way ends and nothing else begins", async () => {
  const stop = new AbortController();
  const asked: string[] = [];
  const outcomes = await run(
    (name) => {
      asked.push(name);
      stop.abort();
      return Promise.resolve(secret(name));
    },
    undefined,
    stop,
  );
  expect(asked.length).toBeLessThanOrEqual(AT_MOST);
  expect(tally(outcomes)).toMatchObject({ synced: asked.length, stopped: 12 - asked.length });
});

test("without an answer nobody knows; a refusal is about one; and once nobody is there, no other is begun", async () => {
  const late = new DeadlineExceededError({ message: "Too late.", code: Code.DeadlineExceeded });
  const denied = new PermissionDeniedError({ message: "You may not.", code: Code.PermissionDenied });
  const some = await run((name) => (name.endsWith("/3") ? Promise.reject(late) : name.endsWith("/4") ? Promise.reject(denied) : Promise.resolve(secret(name))));
  expect(tally(some)).toMatchObject({ synced: 10, unknown: 1, failed: 1 });
  expect(some.get("syncedSecrets/3")).toEqual({ kind: "unknown", message: "Too late." });
  const signedOut = new UnauthenticatedError({ message: "Sign in.", code: Code.Unauthenticated });
  expect(tally(await run(() => Promise.reject(signedOut)))).toMatchObject({ unknown: AT_MOST, stopped: 12 - AT_MOST });
});

test("an answer is a success only where the edge has what was asked for last", () => {
  expect(outcomeOf(secret("a"))).toEqual({ kind: "synced" });
  expect(outcomeOf(secret("a", { generation: 2n }))).toEqual({ kind: "pending" });
  const conditions = [{ type: "Synced", message: "The vault has no secret x." }];
  expect(outcomeOf(secret("a", { state: State.DEGRADED, conditions }))).toEqual({ kind: "failed", message: "The vault has no secret x." });
  expect(outcomeOf(secret("a", { state: State.FAILED })).kind).toBe("failed");
});
