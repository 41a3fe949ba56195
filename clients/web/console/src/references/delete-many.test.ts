import {
  Code,
  NotFoundError,
  PermissionDeniedError,
  ServiceUnreachableError,
  State,
  UnauthenticatedError,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { AT_ONCE, DeleteMany } from "./delete-many";
import { tally } from "./deletion-steps";

const secret = (id: number, state = State.SYNCED): SyncedSecret =>
  create(SyncedSecretSchema, { name: `syncedSecrets/s${id}`, uid: `uid-${id}`, etag: `uid-${id}-1`, state });
const SECRETS = Array.from({ length: 10 }, (_, id) => secret(id));
const ONE = secret(1);

const absent = new NotFoundError({ message: "It is not there.", code: Code.NotFound });
const denied = new PermissionDeniedError({ message: "You may not.", code: Code.PermissionDenied });
const unreachable = new ServiceUnreachableError({ message: "The connection broke.", code: Code.Unavailable });
const signedOut = new UnauthenticatedError({ message: "Sign in.", code: Code.Unauthenticated });

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

type Answer = () => Promise<SyncedSecret>;
const says = (one: SyncedSecret | Error): Promise<SyncedSecret> => (one instanceof Error ? Promise.reject(one) : Promise.resolve(one));

/** Deletions in front of a service that answers so. */
function deleting(onDelete: (name: string, nth: number) => Promise<SyncedSecret>, onGet: Answer = () => says(absent)) {
  const asked: { name: string; force: boolean; requestId: string }[] = [];
  const deleteSyncedSecret = vi.fn((target: SyncedSecret, { force, requestId }: { force: boolean; requestId: string }) => {
    asked.push({ name: target.name, force, requestId });
    return onDelete(target.name, asked.length);
  });
  const getSyncedSecret = vi.fn(onGet);
  const [tell, onQuiet] = [vi.fn(), vi.fn()];
  const many = new DeleteMany({ deleteSyncedSecret, getSyncedSecret }, { tell, onQuiet });
  const leave = many.attend();
  return { many, leave, asked, tell, onQuiet, getSyncedSecret, pass: (ms = 0) => vi.advanceTimersByTimeAsync(ms) };
}

/** Answers that come when they are told to. */
function later() {
  const waiting: ((one: SyncedSecret | Error) => void)[] = [];
  return {
    answer: () => new Promise<SyncedSecret>((resolve) => waiting.push((one) => resolve(says(one)))),
    /** Answers all that wait. */
    say: (one: SyncedSecret | Error) => waiting.splice(0).forEach((answer) => answer(one)),
  };
}

test("a few are asked for at once; each is gone when a look says so", async () => {
  const { answer, say } = later();
  const { many, asked, pass, leave, tell } = deleting(answer);
  many.start(SECRETS);
  await pass();
  expect(asked).toHaveLength(AT_ONCE);
  expect(tally(many.steps())).toMatchObject({ asked: AT_ONCE, waiting: 10 - AT_ONCE });
  for (let turn = 0; turn < 3; turn++) {
    say(ONE);
    await pass(1_000);
  }
  await pass(1_000);
  expect(tally(many.steps())).toMatchObject({ gone: 10 });
  leave();
  expect(tell).toHaveBeenCalledWith(expect.objectContaining({ title: "10 synced secrets are deleted", isBad: false }));
});

test("what was accepted is never told as staying, whatever becomes of the looks at it", async () => {
  const { many, pass, leave, tell, getSyncedSecret } = deleting(() => says(ONE), () => says(denied));
  many.start([ONE]);
  await pass(60_000);
  expect(many.steps().get(ONE.name)).toEqual({ step: "leaving", held: "", unseen: denied });
  expect(getSyncedSecret, "what is denied is not asked for again and again").toHaveBeenCalledTimes(1);
  leave();
  expect(tell).toHaveBeenCalledWith(expect.objectContaining({ title: "s1 is being deleted" }));
});

test("a service that is away for a while is looked at again", async () => {
  const answers: (SyncedSecret | Error)[] = [unreachable, secret(1, State.DELETING)];
  const { many, pass } = deleting(() => says(ONE), () => says(answers.shift() ?? absent));
  many.start([ONE]);
  await pass();
  expect(many.steps().get(ONE.name)).toMatchObject({ step: "leaving", unseen: unreachable });
  await pass(5_000);
  expect(many.steps().get(ONE.name)).toEqual({ step: "leaving", held: "" });
  await pass(1_000);
  expect(many.steps().get(ONE.name)).toEqual({ step: "gone" });
});

test("another one of the same name is not the one that was deleted", async () => {
  const { many, pass } = deleting(() => says(ONE), () => says(create(SyncedSecretSchema, { name: ONE.name, uid: "another" })));
  many.start([ONE]);
  await pass();
  expect(many.steps().get(ONE.name)).toEqual({ step: "gone" });
});

test("after a lost answer nobody knows, until a look finds it gone or on its way; the same request is sent again", async () => {
  const found: (SyncedSecret | Error)[] = [ONE];
  const { many, asked, pass, leave, tell } = deleting(
    (_, nth) => says(nth === 1 ? unreachable : ONE),
    () => says(found.shift() ?? absent),
  );
  many.start([ONE], { force: true });
  await pass();
  expect(many.steps().get(ONE.name)).toEqual({ step: "unknown", error: unreachable, isThere: true });
  many.again();
  await pass(2_000);
  expect(many.steps().get(ONE.name)).toEqual({ step: "gone" });
  expect(asked.map(({ force }) => force)).toEqual([true, true]);
  expect(new Set(asked.map(({ requestId }) => requestId)).size).toBe(1);
  leave();
  expect(tell).toHaveBeenCalledTimes(1);
});

test("who is denied midway learns of each whether it goes or stays", async () => {
  const { many, asked, pass } = deleting((_, nth) => says(nth <= 3 ? ONE : denied));
  many.start(SECRETS);
  await pass(2_000);
  expect(asked).toHaveLength(10);
  expect(tally(many.steps())).toMatchObject({ gone: 3, refused: 7 });
});

test.each([unreachable, signedOut])("once nobody answers (%s), nothing more is begun", async (error) => {
  const { many, asked, pass } = deleting(() => says(error), () => says(error));
  many.start(SECRETS);
  await pass();
  expect(asked).toHaveLength(AT_ONCE);
  expect(tally(many.steps())).toMatchObject({ unknown: AT_ONCE, stopped: 10 - AT_ONCE });
});

test("stopped, what was asked for goes on and the rest is not asked for", async () => {
  const { answer, say } = later();
  const { many, asked, pass } = deleting(answer);
  many.start(SECRETS);
  await pass();
  many.stop();
  expect(tally(many.steps())).toMatchObject({ asked: AT_ONCE, stopped: 10 - AT_ONCE });
  say(ONE);
  await pass(2_000);
  expect(asked).toHaveLength(AT_ONCE);
  expect(tally(many.steps())).toMatchObject({ gone: AT_ONCE, stopped: 10 - AT_ONCE });
});

test("left while it works, nothing more is begun, and what was asked for is told once it is answered", async () => {
  const { answer, say } = later();
  const { many, asked, pass, leave, tell, onQuiet, getSyncedSecret } = deleting(answer);
  many.start(SECRETS);
  await pass();
  leave();
  expect(tell).not.toHaveBeenCalled();
  say(denied);
  await pass(10_000);
  expect(asked).toHaveLength(AT_ONCE);
  expect(getSyncedSecret).not.toHaveBeenCalled();
  expect(tell).toHaveBeenCalledTimes(1);
  expect(tell).toHaveBeenCalledWith({ title: "Of 10 synced secrets: 4 not deleted, 6 not asked for", body: "You may not.", isBad: true });
  expect(onQuiet).toHaveBeenCalled();
});

test("asked for otherwise, it begins anew", async () => {
  const { many, asked, pass } = deleting((_, nth) => says(nth === 1 ? denied : ONE));
  many.start([ONE]);
  await pass();
  many.reset();
  expect(many.steps().size).toBe(0);
  many.start([ONE], { force: true });
  await pass(1_000);
  expect(many.steps().get(ONE.name)).toEqual({ step: "gone" });
  expect(new Set(asked.map(({ requestId }) => requestId)).size).toBe(2);
});
