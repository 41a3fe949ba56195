import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { RenewalRefusedError, Session, tokenOf, type SignIn } from "./session";

const NOW = Date.parse("2026-11-27T20:00:00Z");
const HOUR_MS = 3_600_000;

beforeEach(() => vi.useFakeTimers({ now: NOW }));
afterEach(() => vi.useRealTimers());

/** An issuer's token with so much time left. */
function oidc(token: string, leftMs: number, renew?: () => Promise<SignIn>): SignIn {
  return { kind: "oidc", token, expires: NOW + leftMs, ...(renew && { renew }) };
}

/** The token of a session's next call. */
async function nextToken(session: Session): Promise<string | undefined> {
  const credentials = await session.credentials();
  return credentials && tokenOf(credentials);
}

function signedIn(signIn: SignIn): Session {
  const session = new Session();
  session.signIn(signIn);
  return session;
}

test("nobody is signed in at first, and there is no token", async () => {
  const session = new Session();
  expect(session.state()).toEqual({ status: "signed-out", kind: undefined, isNamed: false, page: 0 });
  expect(await nextToken(session)).toBeUndefined();
  session.signIn({ kind: "none" });
  expect(await nextToken(session)).toBe("");
});

test("a token that lasts is used as it is", async () => {
  const renew = vi.fn<() => Promise<SignIn>>();
  expect(await nextToken(signedIn(oidc("lasting", HOUR_MS, renew)))).toBe("lasting");
  expect(await nextToken(signedIn({ kind: "token", token: "pasted" }))).toBe("pasted");
  expect(renew).not.toHaveBeenCalled();
});

test("a token that ends soon is renewed once, however many calls ask at once", async () => {
  const renew = vi.fn(() => Promise.resolve(oidc("new", HOUR_MS)));
  const session = signedIn(oidc("old", 30_000, renew));
  expect(await Promise.all([nextToken(session), nextToken(session), nextToken(session)])).toEqual(["new", "new", "new"]);
  expect(await nextToken(session)).toBe("new");
  expect(renew).toHaveBeenCalledTimes(1);
});

test("each renewal is of the token before", async () => {
  const third = vi.fn(() => Promise.resolve(oidc("third", HOUR_MS)));
  const second = vi.fn(() => Promise.resolve(oidc("second", 10_000, third)));
  const session = signedIn(oidc("first", 10_000, second));
  expect(await nextToken(session)).toBe("second");
  expect(await nextToken(session)).toBe("third");
  expect([second.mock.calls.length, third.mock.calls.length]).toEqual([1, 1]);
});

test("a renewal that fails leaves the token, and is tried again after a while, not by every call", async () => {
  const renew = vi.fn<() => Promise<SignIn>>().mockRejectedValueOnce(new Error("away")).mockResolvedValueOnce(oidc("new", HOUR_MS));
  const session = signedIn(oidc("old", 30_000, renew));
  expect(await nextToken(session)).toBe("old");
  vi.advanceTimersByTime(29_000);
  expect(await nextToken(session)).toBe("old");
  expect(renew).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1_000);
  expect(await nextToken(session)).toBe("new");
});

test("what the issuer refuses to renew is not asked for again", async () => {
  const renew = vi.fn(() => Promise.reject<SignIn>(new RenewalRefusedError("revoked")));
  const session = signedIn(oidc("old", 30_000, renew));
  expect(await nextToken(session)).toBe("old");
  vi.advanceTimersByTime(24 * HOUR_MS);
  expect(await nextToken(session)).toBe("old");
  expect(renew).toHaveBeenCalledTimes(1);
});

test("an issuer that doesn't answer holds up calls for ten seconds, and the next ones not at all", async () => {
  const session = signedIn(oidc("old", 50_000, () => new Promise(() => undefined)));
  const asked = nextToken(session);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await asked).toBe("old");
  expect(await nextToken(session)).toBe("old");
});

test("a renewal that ends after the sign-out signs nobody in", async () => {
  let finish: (signIn: SignIn) => void = () => undefined;
  const renew = (): Promise<SignIn> => new Promise((resolve) => (finish = resolve));
  const session = signedIn(oidc("old", 30_000, renew));
  const asked = nextToken(session);
  session.signOut();
  finish(oidc("new", HOUR_MS));
  await asked;
  expect(session.state().status).toBe("signed-out");
  expect(await nextToken(session)).toBeUndefined();
});

test("a renewal that ends after the token before was refused goes on with the page of the same person", async () => {
  let finish: (signIn: SignIn) => void = () => undefined;
  const old = oidc("old", 30_000, () => new Promise((resolve) => (finish = resolve)));
  const session = signedIn(old);
  const asked = nextToken(session);
  session.end(old);
  expect(session.state()).toMatchObject({ status: "ended", page: 1 });
  finish(oidc("new", HOUR_MS));
  expect(await asked).toBe("new");
  expect(session.state()).toMatchObject({ status: "signed-in", page: 1 });
  expect(await nextToken(session)).toBe("new");
});

test("a renewal of somebody who left is not the token of who came next", async () => {
  let finish: (signIn: SignIn) => void = () => undefined;
  const session = signedIn(oidc("old", 30_000, () => new Promise((resolve) => (finish = resolve))));
  const asked = nextToken(session);
  session.signIn(oidc("of the next", 30_000, () => Promise.resolve(oidc("renewed for the next", HOUR_MS))));
  const next = nextToken(session);
  finish(oidc("renewed for the first", HOUR_MS));
  await asked;
  expect(await next).toBe("renewed for the next");
});

test("an end waits for new credentials, and who is not signed in has none that could end", () => {
  const [pasted, another] = [
    { kind: "token", token: "pasted" },
    { kind: "token", token: "another" },
  ] as const;
  const session = new Session();
  session.end(pasted);
  expect(session.state().status).toBe("signed-out");
  session.signIn(pasted);
  session.end(pasted);
  expect(session.state()).toEqual({ status: "ended", kind: "token", isNamed: false, page: 1 });
  session.signIn(another);
  expect(session.state().status).toBe("signed-in");
});

test("a refusal of credentials that were replaced meanwhile ends nothing", async () => {
  const first = oidc("first", 30_000, () => Promise.resolve(oidc("renewed", HOUR_MS)));
  const session = signedIn(first);
  await session.credentials();
  session.end(first);
  expect(session.state().status).toBe("signed-in");
});

test("whoever listens is told of each change, until they no longer want to be", () => {
  const session = new Session();
  const told: string[] = [];
  const stop = session.subscribe(() => told.push(session.state().status));
  const none = { kind: "none" } as const;
  session.signIn(none);
  session.end(none);
  session.end(none);
  session.signOut();
  stop();
  session.signIn({ kind: "none" });
  expect(told).toEqual(["signed-in", "ended", "signed-out"]);
});

test("a token is in nothing that the page shows of the session", () => {
  const session = signedIn(oidc("very-secret", HOUR_MS));
  expect(JSON.stringify(session.state()) + JSON.stringify(session)).not.toContain("very-secret");
});

test.each([
  ["the same person", "ada", "ada", 1],
  ["somebody else", "ada", "eve", 2],
  ["somebody whom the service doesn't name", "ada", undefined, 2],
  ["somebody after one who was never named", undefined, "eve", 2],
])("%s over an ended session", (_, before, next, page) => {
  const [first, second] = [oidc("first", HOUR_MS), oidc("second", HOUR_MS)];
  const session = signedIn(first);
  if (before !== undefined) {
    session.known(first, before);
  }
  session.end(first);
  expect(session.state()).toEqual({ status: "ended", kind: "oidc", isNamed: before !== undefined, page: 1 });
  session.signIn(second, next);
  expect(session.state()).toEqual({ status: "signed-in", kind: "oidc", isNamed: next !== undefined, page });
});

test("whoever signs in after a sign-out begins another page", () => {
  const session = new Session();
  session.signIn(oidc("first", HOUR_MS), "ada");
  session.signOut();
  session.signIn(oidc("second", HOUR_MS), "ada");
  expect(session.state().page).toBe(2);
});
