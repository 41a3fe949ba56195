/** Lists, waiting, updates and values. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";

import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  Code,
  conditionOf,
  connect,
  createNew,
  Encoding,
  existing,
  idOf,
  InvalidRequestError,
  isSynced,
  NotFoundError,
  NotSyncedError,
  SecretData,
  SecretValue,
  StaleError,
  State,
  type Page,
  type SecretServiceClient,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";
import { ConditionSchema, SecretService, type DeleteSyncedSecretRequest } from "@iotoperations/secret-service-client/v1";

import { event, Fake, refusal, secret, SILENCE, type Answer } from "./fake.js";
import { newRun } from "./run.js";
import { Service } from "./service.js";

const VAULT_SECRET = "vaultSecrets/historian-token";

let service: Service;
let client: SecretServiceClient;
before(async () => {
  service = await Service.start();
  client = connect(service.url);
});
after(() => service.remove());

test("a list pages by itself", async () => {
  const run = newRun();
  const wanted = Array.from({ length: 7 }, (_, number) => `${run}-${String(number)}`);
  for (const id of wanted) {
    await client.createSyncedSecret(id, [existing("k", VAULT_SECRET)]);
  }
  const list = client.listSyncedSecrets({ nameContains: run, pageSize: 3 });
  const found: string[] = [];
  for await (const { name } of list) {
    found.push(idOf(name));
  }
  assert.deepEqual(found, wanted);
  assert.deepEqual(
    (await list.all()).map(({ name }) => idOf(name)),
    wanted,
    "it can be iterated again",
  );
  const pages: Page<SyncedSecret>[] = [];
  for await (const page of list.pages()) {
    pages.push(page);
  }
  assert.deepEqual(
    pages.map(({ items, totalSize }) => [items.length, totalSize]),
    [
      [3, 7],
      [3, 7],
      [1, 7],
    ],
  );
  const pageToken = pages[0]?.nextPageToken ?? "";
  const rest = await client.listSyncedSecrets({ nameContains: run, pageSize: 3, pageToken }).all();
  assert.deepEqual(
    rest.map(({ name }) => idOf(name)),
    wanted.slice(3),
  );
});

test("the next page is asked for only when it is needed", async () => {
  const calls: string[] = [];
  const counting = connect(service.url, { onCall: ({ method }) => calls.push(method) });
  const list = counting.listVaultSecrets({ pageSize: 2 });
  assert.equal(calls.length, 0);
  for await (const found of list) {
    assert(found.name.startsWith("vaultSecrets/"));
    break;
  }
  assert.deepEqual(calls, ["ListVaultSecrets"]);
});

test("waitSynced returns what the edge holds", async () => {
  const run = newRun();
  const made = await client.createSyncedSecret(`ok-${run}`, [createNew("k", `vaultSecrets/ok-${run}`, "v")]);
  const synced = await client.waitSynced(made.name, { timeoutMs: 20_000 });
  assert(isSynced(synced));
  assert.equal(synced.state, State.SYNCED);
  await assert.rejects(client.waitSynced(`syncedSecrets/nowhere-${run}`), NotFoundError);
  await assert.rejects(client.waitSynced("a-bare-id"), InvalidRequestError);
});

test("waitSynced follows a secret until it is synced, and is told where it is deleted", async (t) => {
  const pending = secret("a", { generation: 2n, state: State.PENDING });
  const synced = secret("a", { generation: 2n, syncedGeneration: 2n, state: State.SYNCED });
  const fake = await Fake.start(pending, [
    event("ADDED", "a"),
    event("BOOKMARK", "", "1"),
    Object.assign(event("MODIFIED", "a"), { syncedSecret: synced }),
    SILENCE,
  ]);
  t.after(() => fake.stop());
  const there = connect(fake.url);
  assert.equal((await there.waitSynced("syncedSecrets/a")).syncedGeneration, 2n);
  assert.equal(fake.asked.length, 2);
  fake.answers = [pending, [event("DELETED", "a"), SILENCE], synced];
  assert.equal((await there.waitSynced("syncedSecrets/a")).syncedGeneration, 2n, "it was made again");
});

const AWAY = create(ConditionSchema, {
  type: "Synced",
  reason: "VaultUnreachable",
  message: "The vault is away. Wait for it.",
});

for (const state of [State.FAILED, State.DEGRADED, State.DELETING]) {
  test(`waitSynced ends with the cause where it is ${State[state]}, at once and while it watches`, async (t) => {
    const pending = secret("a", { generation: 2n, state: State.PENDING });
    const ended = secret("a", { generation: 2n, state, conditions: [AWAY] });
    const fake = await Fake.start(ended);
    t.after(() => fake.stop());
    const changed = Object.assign(event("MODIFIED", "a"), { syncedSecret: ended });
    const told: Answer = [event("BOOKMARK", "", "1"), changed, SILENCE];
    const scripts: Answer[][] = [[ended], [pending, told]];
    for (const answers of scripts) {
      fake.answers = answers;
      await assert.rejects(connect(fake.url).waitSynced("syncedSecrets/a", { timeoutMs: 10_000 }), (error) => {
        assert(error instanceof NotSyncedError, String(error));
        assert.deepEqual([error.code, error.syncedSecret.state], [Code.FailedPrecondition, state]);
        assert.equal(error.reason, "VaultUnreachable");
        assert.match(error.message, new RegExp(`its state is ${State[state]}\\. The vault is away\\.`));
        return true;
      });
    }
  });
}

test("waitSynced waits through failures where it is told to, until the time is over", async (t) => {
  const degraded = secret("a", { generation: 2n, state: State.DEGRADED, conditions: [AWAY] });
  assert.equal(conditionOf(degraded, "Synced"), AWAY);
  const fake = await Fake.start(degraded, [event("BOOKMARK", "", "1"), SILENCE]);
  t.after(() => fake.stop());
  const there = connect(fake.url);
  const options = { timeoutMs: 500, throughFailures: true };
  await assert.rejects(there.waitSynced("syncedSecrets/a", options), (error) => {
    assert(error instanceof NotSyncedError);
    assert.deepEqual([error.code, error.syncedSecret.state], [Code.DeadlineExceeded, State.DEGRADED]);
    assert.equal(error.reason, "VaultUnreachable");
    assert.match(error.message, /its state is DEGRADED\. The vault is away\./);
    return true;
  });
  const mended = secret("a", { generation: 2n, syncedGeneration: 2n, state: State.SYNCED });
  fake.answers = [degraded, [Object.assign(event("MODIFIED", "a"), { syncedSecret: mended }), SILENCE]];
  const found = await there.waitSynced("syncedSecrets/a", { timeoutMs: 10_000, throughFailures: true });
  assert.equal(found.state, State.SYNCED);
});

test("an update changes only what is given, and an old etag is stale", async () => {
  const id = `u-${newRun()}`;
  const made = await client.createSyncedSecret(id, [existing("k", VAULT_SECRET)], {
    description: "a",
    labels: { l: "1" },
    waitMs: 10_000,
  });
  const { name, etag } = made;
  const changed = await client.updateSyncedSecret(name, { description: "b" }, { etag });
  assert.deepEqual([changed.description, changed.labels, changed.references.length], ["b", { l: "1" }, 1]);
  await assert.rejects(client.updateSyncedSecret(name, { description: "c" }, { etag }), StaleError);
  const references = [...changed.references, existing("k2", "vaultSecrets/pump-7-username")];
  assert.equal((await client.updateSyncedSecret(name, { references })).references.length, 2);
  assert.deepEqual((await client.updateSyncedSecret(name, { labels: {} })).labels, {});
});

test("a change of what was read overwrites no newer state, unless any state may be", async () => {
  const id = `r-${newRun()}`;
  const read = await client.createSyncedSecret(id, [existing("k", VAULT_SECRET)], { waitMs: 10_000 });
  const { name } = read;
  const newer = await client.updateSyncedSecret(name, { description: "somebody else's" });
  for (const change of [
    () => client.updateSyncedSecret(name, { ...read, description: "mine" }),
    () => client.updateSyncedSecret(read, { description: "mine" }),
    () => client.deleteSyncedSecret(read),
    () => client.deleteSyncedSecret(name, { ...read }),
  ]) {
    await assert.rejects(change, StaleError);
  }
  assert.equal((await client.getSyncedSecret(name)).description, "somebody else's");
  const changed = await client.updateSyncedSecret(newer, { labels: { l: "1" } });
  assert.deepEqual([changed.description, changed.labels], ["somebody else's", { l: "1" }]);
  const forced = await client.updateSyncedSecret(name, { ...read, description: "mine" }, { anyState: true });
  assert.deepEqual([forced.description, forced.labels], ["mine", {}]);
  const named = await client.updateSyncedSecret(read, { description: "b" }, { etag: forced.etag });
  assert.equal(named.description, "b", "an etag that is named counts more than that of what was read");
  assert.throws(() => client.deleteSyncedSecret(read, { etag: read.etag, anyState: true }), TypeError);
  await client.deleteSyncedSecret(read, { anyState: true, waitMs: 10_000 });
  await assert.rejects(client.getSyncedSecret(name), NotFoundError);
});

test("what goes with a value arrives: times, tags, the type of its content", async () => {
  const id = `v-${newRun()}`;
  const expireTime = new Date("2031-01-02T03:04:05Z");
  await client.createVaultSecret(id, "v", { contentType: "text/plain", expireTime, tags: { a: "b" } });
  const found = await client.getVaultSecret(`vaultSecrets/${id}`);
  assert.deepEqual([found.contentType, found.tags["a"]], ["text/plain", "b"]);
  assert.deepEqual(found.expireTime, timestampFromDate(expireTime));
  await client.addVaultSecretVersion(found.name, "w");
  assert.equal((await client.listVaultSecretVersions(found.name).all()).length, 2);
});

test("single references are set and removed, and all others stay", async () => {
  const id = `e-${newRun()}`;
  const read = await client.createSyncedSecret(id, [existing("a", VAULT_SECRET), existing("b", VAULT_SECRET)]);
  await client.updateSyncedSecret(read.name, { setReferences: [existing("c", VAULT_SECRET)] });
  const changed = await client.updateSyncedSecret(read.name, {
    setReferences: [existing("b", "vaultSecrets/pump-7-username"), existing("d", VAULT_SECRET)],
    removeKeys: ["a"],
    description: "one call",
  });
  assert.deepEqual(
    changed.references.map(({ key }) => key),
    ["b", "c", "d"],
  );
  assert.equal(changed.references[0]?.vaultSecret, "vaultSecrets/pump-7-username");
  assert.deepEqual([changed.description, changed.generation], ["one call", 3n]);
  await assert.rejects(client.updateSyncedSecret(read, { removeKeys: ["b"] }), StaleError);
  await assert.rejects(client.updateSyncedSecret(read.name, { removeKeys: ["a"] }), NotFoundError);
});

test("bytes are stored in the encoding that is asked for", async () => {
  const run = newRun();
  const made = await client.createVaultSecret(`hex-${run}`, Uint8Array.of(0, 255));
  assert.deepEqual([made.encoding, made.tags["file-encoding"]], [Encoding.HEX, "hex"]);
  const options = { encoding: Encoding.BASE64 };
  assert.equal((await client.createVaultSecret(`b-${run}`, Uint8Array.of(0, 255), options)).encoding, Encoding.BASE64);
  await client.addVaultSecretVersion(`vaultSecrets/b-${run}`, new SecretData(Uint8Array.of(0, 254)));
  assert.equal((await client.getVaultSecret(`vaultSecrets/b-${run}`)).encoding, Encoding.BASE64);
  const reference = createNew("ca.der", `vaultSecrets/of-${run}`, Uint8Array.of(0, 253), {
    storedEncoding: Encoding.BASE64,
  });
  const synced = await client.createSyncedSecret(`of-${run}`, [reference], { waitMs: 10_000 });
  assert.deepEqual([synced.state, synced.references[0]?.encoding], [State.SYNCED, Encoding.BASE64]);
});

test("nothing shows bytes but reveal", () => {
  const plain = new TextEncoder().encode("canary-7");
  const data = new SecretData(plain);
  const reference = createNew("k", "vaultSecrets/v", plain);
  const shown = [
    String(data),
    JSON.stringify({ data, reference }),
    inspect(data, { showHidden: true }),
    inspect(reference, { depth: 9, showHidden: true }),
    JSON.stringify(structuredClone(data)),
    JSON.stringify(Object.getOwnPropertyDescriptors(data)),
  ];
  assert.deepEqual(
    shown.filter((text) => text.includes("canary") || text.includes(plain.join())),
    [],
  );
  assert.deepEqual(data.reveal(), plain);
  assert.deepEqual(new SecretData(data).reveal(), plain);
  assert.throws(() => new SecretData("canary" as never), TypeError);
});

test("nothing shows a value but reveal", () => {
  const value = new SecretValue("canary-7");
  const reference = createNew("k", "vaultSecrets/v", "canary-7");
  const shown = [
    String(value),
    JSON.stringify({ value, reference }),
    inspect(value, { showHidden: true }),
    inspect(reference, { depth: 9, showHidden: true }),
    JSON.stringify(structuredClone(value)),
    JSON.stringify(Object.getOwnPropertyDescriptors(value)),
  ];
  assert.deepEqual(
    shown.filter((text) => text.includes("canary")),
    [],
  );
  assert.equal(value.reveal(), "canary-7");
  assert.equal(new SecretValue(value).reveal(), "canary-7");
  assert.throws(
    () => new SecretValue("canary\ud800"),
    (error) => error instanceof TypeError && !error.message.includes("canary"),
  );
});

test("a transport's calls are tried again as the same request, and wait as long as they ask for", async () => {
  const fake = await Fake.start(refusal(Code.Unavailable, "EDGE_UNAVAILABLE"), secret("a"));
  const there = connect(fake.url, { timeoutMs: 2_000 });
  assert.equal(there.transport, there.transport, "who remembers it by its transport asks only once");
  const call = there.transport.unary(SecretService.method.deleteSyncedSecret, undefined, undefined, undefined, {
    name: "syncedSecrets/a",
    wait: durationFromMs(60_000),
  });
  assert.equal((await call).message.name, "syncedSecrets/a");
  const [first, second] = fake.asked as DeleteSyncedSecretRequest[];
  assert.match(first?.requestId ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(second?.requestId, first?.requestId);
  const timeouts = fake.headers.map((headers) => parseInt(headers.get("grpc-timeout") ?? "", 10));
  assert(timeouts.every((ms) => ms > 50_000), String(timeouts));
  await fake.stop();
});
