import {
  Code,
  InvalidRequestError,
  PermissionDeniedError,
  UnauthenticatedError,
  type SecretServiceClient,
  type SecretServiceError,
  type SyncedSecret,
  type WatchEvent,
} from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { LiveSecrets } from "./live";

type Step = WatchEvent | Error | "broken";

/** A watch that tells what it is given. */
class FakeWatch {
  closed = false;
  readonly #steps: Step[] = [];
  #wake: () => void = () => undefined;

  constructor(readonly resumeToken: string, private readonly onBroken: (error: SecretServiceError | undefined) => void) {}

  tell(...steps: Step[]): void {
    this.#steps.push(...steps);
    this.#wake();
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent> {
    while (!this.closed) {
      const step = this.#steps.shift();
      if (step === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else if (step === "broken") {
        this.onBroken(undefined);
      } else if (step instanceof Error) {
        throw step;
      } else {
        yield step;
      }
    }
  }
}

/** A client whose watches are at hand. */
class FakeClient {
  readonly watches: FakeWatch[] = [];

  watch(options: { resumeToken?: string; onBroken?: (error: SecretServiceError | undefined) => void } = {}): FakeWatch {
    const watch = new FakeWatch(options.resumeToken ?? "", options.onBroken ?? (() => undefined));
    this.watches.push(watch);
    return watch;
  }

  get last(): FakeWatch {
    const watch = this.watches.at(-1);
    if (watch === undefined) {
      throw new Error("nobody watches");
    }
    return watch;
  }
}

function begin(): { live: LiveSecrets; client: FakeClient; renders: () => number } {
  const client = new FakeClient();
  const live = new LiveSecrets(client as unknown as Pick<SecretServiceClient, "watch">);
  let renders = 0;
  live.subscribe(() => {
    renders++;
  });
  live.start();
  return { live, client, renders: () => renders };
}

function secret(id: string, description = ""): SyncedSecret {
  return create(SyncedSecretSchema, { name: `syncedSecrets/${id}`, description });
}

function added(id: string, description = ""): WatchEvent {
  return { type: "added", syncedSecret: secret(id, description), resumeToken: "" };
}

function bookmark(resumeToken: string): WatchEvent {
  return { type: "bookmark", resumeToken };
}

function ids(live: LiveSecrets): string {
  return live
    .snapshot()
    .secrets.map(({ name, description }) => name.replace("syncedSecrets/", "") + description)
    .join(" ");
}

const soon = (): Promise<unknown> => vi.advanceTimersByTimeAsync(200);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("nothing is shown before the first state is complete, and then all of it in the order of names", async () => {
  const { live, client, renders } = begin();
  client.last.tell(added("b"), added("c"), added("a"));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "loading", secrets: [], heard: 0 });
  expect(renders()).toBe(0);
  client.last.tell(bookmark("1"));
  await soon();
  expect(ids(live)).toBe("a b c");
  expect(live.snapshot()).toMatchObject({ status: "live", heard: Date.now() - 200 });
  expect(live.snapshot().byName.get("syncedSecrets/b")?.name).toBe("syncedSecrets/b");
});

test("an instance without synced secrets is live, too", async () => {
  const { live, client } = begin();
  client.last.tell(bookmark("1"));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "live", secrets: [] });
});

test("ten thousand synced secrets are one rendering", async () => {
  const { live, client, renders } = begin();
  client.last.tell(...Array.from({ length: 10_000 }, (_, index) => added(String((index * 7_919) % 10_000).padStart(4, "0"))), bookmark("1"));
  await vi.advanceTimersByTimeAsync(5_000);
  const { secrets } = live.snapshot();
  expect(secrets).toHaveLength(10_000);
  expect(secrets.every(({ name }, index) => name.endsWith(`/${String(index).padStart(4, "0")}`))).toBe(true);
  expect(renders()).toBe(1);
});

test("many changes at once are one rendering; one that was shown is never changed in place", async () => {
  const { live, client, renders } = begin();
  client.last.tell(added("a"), bookmark("1"));
  await soon();
  const before = live.snapshot();
  client.last.tell(
    { type: "modified", syncedSecret: secret("a", "!"), resumeToken: "2" },
    { type: "added", syncedSecret: secret("b"), resumeToken: "3" },
    { type: "deleted", syncedSecret: secret("b"), resumeToken: "4" },
    { type: "added", syncedSecret: secret("c"), resumeToken: "5" },
  );
  await soon();
  expect(renders()).toBe(2);
  expect(ids(live)).toBe("a! c");
  expect(before.secrets.map(({ description }) => description)).toEqual([""]);
  expect([...before.byName.keys()]).toEqual(["syncedSecrets/a"]);
});

test("a heartbeat says when the service was heard, and leaves the list as it is", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), bookmark("1"));
  await soon();
  const before = live.snapshot();
  await vi.advanceTimersByTimeAsync(30_000);
  client.last.tell(bookmark("2"));
  await soon();
  expect(live.snapshot().secrets).toBe(before.secrets);
  expect(live.snapshot().byName).toBe(before.byName);
  expect(live.snapshot().heard).toBeGreaterThanOrEqual(before.heard + 30_000);
});

test("a state that is read anew takes the place of the old one when it is complete, and not before", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), added("gone"), bookmark("1"));
  await soon();
  const heard = live.snapshot().heard;
  await vi.advanceTimersByTimeAsync(20_000);
  client.last.tell("broken", { type: "restarted" }, added("a", "!"));
  await vi.advanceTimersByTimeAsync(1_500);
  expect(ids(live)).toBe("a gone");
  expect(live.snapshot()).toMatchObject({ status: "interrupted", heard });
  client.last.tell(bookmark("2"));
  await soon();
  expect(ids(live)).toBe("a!");
  expect(live.snapshot().status).toBe("live");
});

test("a stream that is back at once is no interruption, one that stays away is", async () => {
  const { live, client, renders } = begin();
  client.last.tell(added("a"), bookmark("1"));
  await soon();
  const told = renders();
  client.last.tell("broken");
  await vi.advanceTimersByTimeAsync(500);
  client.last.tell(bookmark("1"));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(renders()).toBe(told + 1);
  expect(live.snapshot().status).toBe("live");

  const heard = live.snapshot().heard;
  client.last.tell("broken", "broken");
  await vi.advanceTimersByTimeAsync(2_000);
  client.last.tell("broken");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(live.snapshot()).toMatchObject({ status: "interrupted", heard, error: undefined });
  expect(ids(live)).toBe("a");
  expect(renders()).toBe(told + 2);
  client.last.tell({ type: "modified", syncedSecret: secret("a", "!"), resumeToken: "2" });
  await soon();
  expect(live.snapshot().status).toBe("live");
  expect(ids(live)).toBe("a!");
});

test("a watch that ended goes on from the last token", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), bookmark("7"), { type: "added", syncedSecret: secret("b"), resumeToken: "8" });
  await soon();
  client.last.tell(new PermissionDeniedError({ message: "No.", code: Code.PermissionDenied }));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "interrupted", error: { message: "No." } });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(client.watches).toHaveLength(2);
  expect(client.last.resumeToken).toBe("8");
  client.last.tell({ type: "added", syncedSecret: secret("c"), resumeToken: "9" });
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "live", error: undefined });
  expect(ids(live)).toBe("a b c");
});

test("a first state that broke off is forgotten: the next begins from nothing", async () => {
  const { live, client } = begin();
  client.last.tell(added("old"), new PermissionDeniedError({ message: "No.", code: Code.PermissionDenied }));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "failed", secrets: [] });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(client.last.resumeToken).toBe("");
  client.last.tell(added("new"), bookmark("1"));
  await soon();
  expect(ids(live)).toBe("new");
});

test("a token of another database is given up, and what was shown stays until all is read anew", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), bookmark("1"), new PermissionDeniedError({ message: "No.", code: Code.PermissionDenied }));
  await vi.advanceTimersByTimeAsync(3_200);
  client.last.tell(new InvalidRequestError({ message: "What is that?", code: Code.InvalidArgument }));
  await soon();
  expect(client.watches).toHaveLength(3);
  expect(client.last.resumeToken).toBe("");
  client.last.tell(added("b"));
  await soon();
  expect(ids(live)).toBe("a");
  client.last.tell(bookmark("1"));
  await soon();
  expect(ids(live)).toBe("b");
});

test("where the watch opens and nothing comes, the page says so after a while, and goes on listening", async () => {
  const { live, client } = begin();
  await vi.advanceTimersByTimeAsync(9_000);
  client.last.tell(added("a"), "broken");
  await vi.advanceTimersByTimeAsync(9_000);
  expect(live.snapshot().status).toBe("loading");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(live.snapshot()).toMatchObject({ status: "failed", secrets: [], heard: 0, error: { name: "NothingHeardError" } });
  client.last.tell(bookmark("1"));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "live", error: undefined });
  expect(ids(live)).toBe("a");
  // What was complete once doesn't fail by silence.
  await vi.advanceTimersByTimeAsync(20_000);
  expect(live.snapshot().status).toBe("live");
});

test("whatever a watch fails with is told, also where it is no error of the service", async () => {
  const { live, client } = begin();
  client.last.tell(new TypeError("x is not a function"));
  await soon();
  expect(live.snapshot()).toMatchObject({ status: "failed", error: { message: "x is not a function" } });
});

test("who is no longer known sees no state as live", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), bookmark("1"), new UnauthenticatedError({ message: "Who?", code: Code.Unauthenticated }));
  await soon();
  expect(live.snapshot().status).toBe("failed");
});

test("what an earlier watch still has to tell is heard no more", async () => {
  const { live, client } = begin();
  client.last.tell(added("a"), bookmark("1"));
  await soon();
  const earlier = client.last;
  live.start();
  earlier.tell(added("late"), "broken");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(earlier.closed).toBe(true);
  expect(ids(live)).toBe("a");
  // Nobody has confirmed it since the page asked anew.
  expect(live.snapshot().status).toBe("interrupted");
});

