/** Watches: they outlive the service, go on where they were, and say so where they can't. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  Code,
  connect,
  DeadlineExceededError,
  existing,
  idOf,
  InvalidRequestError,
  PermissionDeniedError,
  ServiceUnreachableError,
  type SecretServiceClient,
  type WatchEvent,
} from "@iotoperations/secret-service-client";
import type { WatchSyncedSecretsRequest } from "@iotoperations/secret-service-client/v1";

import { event, Fake, refusal, SILENCE, type Answer } from "./fake.js";
import { newRun } from "./run.js";
import { freePort, Service } from "./service.js";

const VAULT_SECRET = "vaultSecrets/historian-token";

let service: Service;
before(async () => {
  service = await Service.start();
});
after(() => service.remove());

async function create(client: SecretServiceClient, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await client.createSyncedSecret(id, [existing("k", VAULT_SECRET)], { waitMs: 10_000 });
  }
}

async function untilBookmark(events: AsyncIterator<WatchEvent, void>): Promise<WatchEvent[]> {
  const seen: WatchEvent[] = [];
  while (seen.at(-1)?.type !== "bookmark") {
    const { value } = await events.next();
    assert(value);
    seen.push(value);
  }
  return seen;
}

function nameOf(seen: WatchEvent): string {
  return "syncedSecret" in seen ? idOf(seen.syncedSecret.name) : seen.type;
}

/** What a watch of a fake is told, as ids and kinds; and with which tokens it asked. */
async function told(count: number, ...answers: Answer[]): Promise<[string[], string[]]> {
  const fake = await Fake.start(...answers);
  const names: string[] = [];
  for await (const seen of connect(fake.url).watch({ timeoutMs: 20_000, silenceMs: 300 })) {
    names.push(nameOf(seen));
    if (names.length === count) {
      break;
    }
  }
  await fake.stop();
  return [names, (fake.asked as WatchSyncedSecretsRequest[]).map(({ resumeToken }) => resumeToken)];
}

test("a watch survives kills of the service and misses nothing", async (t) => {
  const own = await Service.start();
  t.after(() => own.remove());
  const other = connect(own.url);
  await create(other, "before", "doomed");
  const events = connect(own.url).watch({ timeoutMs: 90_000 });
  const known = new Map<string, bigint>();
  const take = (seen: WatchEvent): void => {
    assert.notEqual(seen.type, "restarted", "it could go on from its token");
    if (seen.type === "deleted") {
      known.delete(idOf(seen.syncedSecret.name));
    } else if ("syncedSecret" in seen) {
      known.set(idOf(seen.syncedSecret.name), seen.syncedSecret.generation);
    }
  };
  (await untilBookmark(events)).forEach(take);
  assert.deepEqual([...known.keys()].sort(), ["before", "doomed"]);
  for (const turn of [0, 1, 2]) {
    // Changes that the watch has not read yet when the service is killed, and others before it is back.
    await create(other, `turn-${String(turn)}`);
    await own.kill();
    await own.start();
    await other.updateSyncedSecret("syncedSecrets/before", { description: `turn ${String(turn)}` }, { waitMs: 10_000 });
    if (turn === 2) {
      await other.deleteSyncedSecret("syncedSecrets/doomed", { waitMs: 10_000 });
    }
  }
  while (known.has("doomed") || known.size < 4 || known.get("before") !== 4n) {
    const { value } = await events.next();
    assert(value);
    take(value);
  }
  assert.deepEqual([...known.keys()].sort(), ["before", "turn-0", "turn-1", "turn-2"]);
  await events.return();
});

test("whoever waits for an event while the service is away gets it when it is back", async (t) => {
  const own = await Service.start();
  t.after(() => own.remove());
  const events = connect(own.url).watch({ timeoutMs: 60_000 });
  await untilBookmark(events);
  const waiting = (async () => {
    for await (const seen of events) {
      if (seen.type === "added") {
        return idOf(seen.syncedSecret.name);
      }
    }
    return undefined;
  })();
  await own.kill();
  await sleep(300);
  await own.start();
  await create(connect(own.url), "later");
  assert.equal(await waiting, "later");
});

test("a token that is too old begins anew and says so", async () => {
  const lost = refusal(Code.OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE");
  const stopping = refusal(Code.Unavailable, "STOPPING");
  const [names, tokens] = await told(
    5,
    [event("ADDED", "a"), event("BOOKMARK", "", "1"), stopping],
    lost,
    [event("ADDED", "b"), event("BOOKMARK", "", "2"), SILENCE],
  );
  assert.deepEqual(names, ["a", "bookmark", "restarted", "b", "bookmark"]);
  assert.deepEqual(tokens, ["", "1", ""]);
});

test("a token of a database that is no more begins anew, but a caller's bad one is an error", async () => {
  const bad = refusal(Code.InvalidArgument, "INVALID_FIELD", { fields: ["resume_token"] });
  const [names] = await told(3, [event("BOOKMARK", "", "1")], bad, [event("BOOKMARK", "", "2"), SILENCE]);
  assert.deepEqual(names, ["bookmark", "restarted", "bookmark"]);
  await assert.rejects(connect(service.url).watch({ resumeToken: "forged" }).next(), InvalidRequestError);
});

test("a break in the middle of the initial state begins anew and says so", async () => {
  const [names, tokens] = await told(
    4,
    [event("ADDED", "a"), refusal(Code.Unavailable, "STOPPING")],
    [event("ADDED", "b"), event("BOOKMARK", "", "1"), SILENCE],
  );
  assert.deepEqual(names, ["a", "restarted", "b", "bookmark"]);
  assert.deepEqual(tokens, ["", ""]);
});

test("a connection that went silent is given up, and the watch goes on from its token", async () => {
  const [names, tokens] = await told(
    2,
    [event("BOOKMARK", "", "1"), SILENCE],
    [event("MODIFIED", "a", "2"), SILENCE],
  );
  assert.deepEqual(names, ["bookmark", "a"]);
  assert.deepEqual(tokens, ["", "1"]);
});

test("kinds of events that this release does not know are skipped", async () => {
  const unknown = Object.assign(event("BOOKMARK", "", "1"), { type: 99 });
  assert.deepEqual((await told(1, [unknown, event("ADDED", "a", "2"), SILENCE]))[0], ["a"]);
});

test("what no reconnecting mends ends it, and so does its timeout", async (t) => {
  const fake = await Fake.start([event("BOOKMARK", "", "1"), refusal(Code.PermissionDenied, "CALLER_FORBIDDEN")]);
  t.after(() => fake.stop());
  const events = connect(fake.url).watch();
  await events.next();
  await assert.rejects(events.next(), PermissionDeniedError);
  fake.answers = [[event("BOOKMARK", "", "1"), SILENCE]];
  const short = connect(fake.url).watch({ timeoutMs: 400 });
  await short.next();
  await assert.rejects(short.next(), DeadlineExceededError);
});

test("a service that was never there is an error at once", async () => {
  const events = connect(`http://127.0.0.1:${String(await freePort())}`).watch();
  await assert.rejects(events.next(), ServiceUnreachableError);
});

test("a watch that is left while someone waits for its next event ends for both", async () => {
  const events = connect(service.url).watch({ nameContains: newRun() });
  await untilBookmark(events);
  const waiting = events.next();
  const ended = { done: true, value: undefined };
  assert.deepEqual(await Promise.all([events.return(), waiting]), [ended, ended]);
});

test("close ends a watch that waits, an abort too but with its reason", async () => {
  const client = connect(service.url);
  const closed = client.watch({ nameContains: newRun() });
  await untilBookmark(closed);
  setTimeout(() => {
    closed.close();
  }, 200);
  assert.deepEqual(await closed.next(), { done: true, value: undefined });
  const controller = new AbortController();
  const aborted = client.watch({ nameContains: newRun(), signal: controller.signal });
  await untilBookmark(aborted);
  setTimeout(() => {
    controller.abort(new Error("enough"));
  }, 200);
  await assert.rejects(aborted.next(), { message: "enough" });
});

test("the service hears of it when a loop is left", async (t) => {
  const fake = await Fake.start([event("BOOKMARK", "", "1"), SILENCE]);
  t.after(() => fake.stop());
  const heard = new Promise((resolve) => {
    fake.onEnd = resolve;
  });
  for await (const seen of connect(fake.url).watch()) {
    assert.equal(seen.type, "bookmark");
    break;
  }
  await heard;
});

test("the next program goes on from a token that was kept", async () => {
  const run = newRun();
  const client = connect(service.url);
  const first = client.watch({ nameContains: run });
  await untilBookmark(first);
  const { resumeToken } = first;
  await first.return();
  await create(client, `kept-${run}`);
  const second = client.watch({ nameContains: run, resumeToken });
  assert((await untilBookmark(second)).some(({ type }) => type === "added"));
  await second.return();
});
