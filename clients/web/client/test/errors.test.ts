/** Errors by reason, in words for people, without a word of the library beneath. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";

import { ConnectError } from "@connectrpc/connect";
import * as secrets from "@iotoperations/secret-service-client";
import { Code, connect, createNew, existing, SecretServiceError } from "@iotoperations/secret-service-client";
import type { CreateSyncedSecretRequest, DeleteSyncedSecretRequest } from "@iotoperations/secret-service-client/v1";

import { Fake, refusal, secret } from "./fake.js";
import { freePort, Service } from "./service.js";

let fake: Fake;
before(async () => {
  fake = await Fake.start();
});
after(() => fake.stop());

/** The error of a call, and that it was one. */
async function failed(call: Promise<unknown>): Promise<SecretServiceError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert(error instanceof SecretServiceError, inspect(error));
  return error;
}

async function refused(refusal: ConnectError): Promise<SecretServiceError> {
  fake.answers = [refusal];
  return failed(connect(fake.url).getSyncedSecret("syncedSecrets/a"));
}

const KINDS: [Code, string, typeof SecretServiceError][] = [
  [Code.NotFound, "SYNCED_SECRET_NOT_FOUND", secrets.NotFoundError],
  [Code.AlreadyExists, "SYNCED_SECRET_EXISTS", secrets.AlreadyExistsError],
  [Code.InvalidArgument, "INVALID_FIELD", secrets.InvalidRequestError],
  [Code.FailedPrecondition, "VAULT_SECRET_DISABLED", secrets.FailedPreconditionError],
  [Code.FailedPrecondition, "SYNCED_SECRET_IN_USE", secrets.InUseError],
  [Code.Aborted, "CHANGED_MEANWHILE", secrets.StaleError],
  [Code.Aborted, "EDGE_CHANGED", secrets.AbortedError],
  [Code.OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE", secrets.OutOfRangeError],
  [Code.ResourceExhausted, "VAULT_THROTTLED", secrets.VaultThrottledError],
  [Code.ResourceExhausted, "DATABASE_FULL", secrets.ResourceExhaustedError],
  [Code.Unavailable, "VAULT_UNREACHABLE", secrets.VaultUnavailableError],
  [Code.Unavailable, "EDGE_UNREACHABLE", secrets.EdgeUnavailableError],
  [Code.Unavailable, "STOPPING", secrets.UnavailableError],
  [Code.PermissionDenied, "VAULT_FORBIDDEN", secrets.PermissionDeniedError],
  [Code.Unauthenticated, "NO_CREDENTIALS", secrets.UnauthenticatedError],
  [Code.Unimplemented, "NOT_IN_THIS_BUILD", secrets.UnimplementedError],
  [Code.Internal, "DATABASE_FAILED", SecretServiceError],
];
for (const [code, reason, kind] of KINDS) {
  test(`${reason} becomes ${kind.name}`, async () => {
    const error = await refused(refusal(code, reason, { retryAfterMs: 7_000 }));
    assert.equal(error.constructor, kind);
    assert.equal(error.name, kind.name);
    assert.deepEqual([error.code, error.reason, error.retryAfterMs], [code, reason, 7_000]);
    assert.deepEqual([error.message, error.resource], ["It is so. Do something.", "syncedSecrets/a"]);
    assert.equal(error.requestId, fake.headers.at(-1)?.get("x-request-id"));
  });
}

test("what is wrong and who uses it is in the error", async () => {
  const invalid = await refused(refusal(Code.InvalidArgument, "INVALID_FIELD", { fields: ["a", "b"] }));
  assert.deepEqual(
    invalid.fieldViolations.map(({ field }) => field),
    ["a", "b"],
  );
  const used = await refused(refusal(Code.FailedPrecondition, "SYNCED_SECRET_IN_USE", { users: ["Asset/pump"] }));
  assert(used instanceof secrets.InUseError);
  assert.deepEqual(used.usages, [{ type: "IN_USE", subject: "Asset/pump", description: "spec.x" }]);
});

test("an error that another server made is not taken for the service's", async () => {
  const error = await refused(refusal(Code.NotFound, "NO_ROUTE", { message: "<proxy>", domain: "proxy.example" }));
  assert(error instanceof secrets.NotFoundError);
  assert.deepEqual([error.reason, error.message.includes("proxy")], ["", false]);
});

test("killing the service in the middle of a call gives a typed error", async (t) => {
  const service = await Service.start("--vault-latency-ms=5000");
  t.after(() => service.remove());
  const call = failed(connect(service.url).getVault());
  await sleep(500);
  await service.kill();
  const error = await call;
  assert(error instanceof secrets.ServiceUnreachableError);
  assertForPeople(error);
});

test("nobody there and no time left are said in words for people", async (t) => {
  const nobody = await failed(connect(`http://127.0.0.1:${String(await freePort())}`).getVault());
  assert(nobody instanceof secrets.ServiceUnreachableError);
  assertForPeople(nobody);
  const service = await Service.start("--vault-latency-ms=5000");
  t.after(() => service.remove());
  const late = await failed(connect(service.url).getVault({ timeoutMs: 300 }));
  assert(late instanceof secrets.DeadlineExceededError);
  assertForPeople(late);
});

test("the request id is the one in the service's log", async (t) => {
  const service = await Service.start();
  t.after(() => service.remove());
  const error = await failed(connect(service.url).getSyncedSecret("syncedSecrets/nowhere"));
  assert.notEqual(error.requestId, "");
  // The service writes its log apart from its answers.
  for (let tries = 0; tries < 100 && !service.log().includes(error.requestId); tries++) await sleep(50);
  assert(service.log().includes(error.requestId));
});

function assertForPeople(error: SecretServiceError): void {
  assert.equal(error.cause, undefined);
  assert(error.requestId !== "");
  assert.doesNotMatch(inspect(error), /undici|connectrpc|ConnectError|ECONN|fetch failed|terminated|socket|node_modules/i);
}

test("what is unavailable for a moment is tried again as the same request", async () => {
  const away = refusal(Code.Unavailable, "VAULT_UNREACHABLE");
  fake.answers = [away, away, secret("a")];
  fake.asked.length = 0;
  const client = connect(fake.url);
  assert.equal((await client.createSyncedSecret("a", [existing("k", "vaultSecrets/v")])).name, "syncedSecrets/a");
  await client.deleteSyncedSecret("syncedSecrets/a");
  const [first, second, third, other] = fake.asked as CreateSyncedSecretRequest[];
  assert(first && first.requestId !== "");
  assert.deepEqual([second, third], [first, first]);
  assert.notEqual((other as unknown as DeleteSyncedSecretRequest).requestId, first.requestId);
});

test("what stays unavailable is an error after four attempts, at once where the service says much later", async () => {
  fake.asked.length = 0;
  await refused(refusal(Code.Unavailable, "STOPPING"));
  assert.equal(fake.asked.length, 4);
  await refused(refusal(Code.Unavailable, "STOPPING", { retryAfterMs: 9_000 }));
  assert.equal(fake.asked.length, 5);
});

test("a call that is still under way from an earlier attempt is waited for", async () => {
  fake.answers = [refusal(Code.Aborted, "REQUEST_IN_PROGRESS", { retryAfterMs: 600 }), secret("a")];
  fake.asked.length = 0;
  const began = Date.now();
  await connect(fake.url).createSyncedSecret("a", [existing("k", "vaultSecrets/v")]);
  assert(Date.now() - began >= 600);
  assert.deepEqual(fake.asked[0], fake.asked[1]);
});

test("every call that ends is told", async () => {
  const told: secrets.CallInfo[] = [];
  fake.answers = [refusal(Code.NotFound, "SYNCED_SECRET_NOT_FOUND"), secret("a")];
  fake.headers.length = 0;
  const client = connect(fake.url, { onCall: (info) => told.push(info) });
  await failed(client.getSyncedSecret("syncedSecrets/a"));
  await client.getSyncedSecret("syncedSecrets/a");
  assert.deepEqual(
    told.map(({ method, code }) => [method, code]),
    [
      ["GetSyncedSecret", Code.NotFound],
      ["GetSyncedSecret", undefined],
    ],
  );
  assert.deepEqual(
    told.map(({ requestId }) => requestId),
    fake.headers.map((sent) => sent.get("x-request-id")),
  );
});

test("an abort ends a call with its reason, also in the pause before another attempt", async () => {
  fake.answers = [refusal(Code.Aborted, "REQUEST_IN_PROGRESS", { retryAfterMs: 9_000 })];
  const client = connect(fake.url);
  const signal = AbortSignal.timeout(200);
  await assert.rejects(client.createSyncedSecret("a", [], { signal }), { name: "TimeoutError" });
  const aborted = AbortSignal.abort(new Error("enough"));
  await assert.rejects(client.getVault({ signal: aborted }), { message: "enough" });
});

test("no error shows a value", async () => {
  fake.answers = [refusal(Code.AlreadyExists, "VAULT_SECRET_EXISTS")];
  const sent = createNew("k", "vaultSecrets/v", "canary-77");
  const error = await failed(connect(fake.url).createSyncedSecret("a", [sent]));
  const [reference] = (fake.asked.at(-1) as CreateSyncedSecretRequest).syncedSecret?.references ?? [];
  assert.equal(reference?.create?.value, "canary-77");
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /canary/);
});
