import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Session, type SignIn } from "./session";

const NOW = Date.parse("2026-11-27T20:00:00Z");
const HOUR_MS = 3_600_000;

beforeEach(() => vi.useFakeTimers({ now: NOW }));
afterEach(() => vi.useRealTimers());

/** An issuer's token with so much time left. */
function oidc(token: string, leftMs: number, renew?: () => Promise<SignIn>): SignIn {
  return { kind: "oidc", token, expires: NOW + leftMs, ...(renew && { renew }) };
}

function signedIn(signIn: SignIn): Session {
  const session = new Session();
  session.signIn(signIn);
  return session;
}

test("nobody is signed in at first, and there is no token", async () => {
  const session = new Session();
  expect(session.state()).toEqual({ status: "signed-out", kind: undefined });
  await expect(session.token()).rejects.toThrow("nobody is signed in");
  session.signIn({ kind: "none" });
  await expect(session.token()).rejects.toThrow("nobody is signed in");
});

test("a token that lasts is used as it is", async () => {
  const renew = vi.fn<() => Promise<SignIn>>();
  expect(await signedIn(oidc("lasting", HOUR_MS, renew)).token()).toBe("lasting");
  expect(await signedIn({ kind: "token", token: "pasted" }).token()).toBe("pasted");
  expect(renew).not.toHaveBeenCalled();
});

test("a token that ends soon is renewed once, however many calls ask at once", async () => {
  const renew = vi.fn(() => Promise.resolve(oidc("new", HOUR_MS)));
  const session = signedIn(oidc("old", 30_000, renew));
  expect(await Promise.all([session.token(), session.token(), session.token()])).toEqual(["new", "new", "new"]);
  expect(await session.token()).toBe("new");
  expect(renew).toHaveBeenCalledTimes(1);
});

test("each renewal is of the token before", async () => {
  const third = vi.fn(() => Promise.resolve(oidc("third", HOUR_MS)));
  const second = vi.fn(() => Promise.resolve(oidc("second", 10_000, third)));
  const session = signedIn(oidc("first", 10_000, second));
  expect(await session.token()).toBe("second");
  expect(await session.token()).toBe("third");
  expect([second.mock.calls.length, third.mock.calls.length]).toEqual([1, 1]);
});

test("a renewal that fails leaves the token, and is tried again by the next call", async () => {
  const renew = vi.fn<() => Promise<SignIn>>().mockRejectedValueOnce(new Error("away")).mockResolvedValueOnce(oidc("new", HOUR_MS));
  const session = signedIn(oidc("old", 30_000, renew));
  expect(await session.token()).toBe("old");
  expect(await session.token()).toBe("new");
});

test("a renewal that ends after the sign-out signs nobody in", async () => {
  let finish: (signIn: SignIn) => void = () => undefined;
  const renew = (): Promise<SignIn> => new Promise((resolve) => (finish = resolve));
  const session = signedIn(oidc("old", 30_000, renew));
  const asked = session.token();
  session.signOut();
  finish(oidc("new", HOUR_MS));
  await asked;
  expect(session.state().status).toBe("signed-out");
  await expect(session.token()).rejects.toThrow("nobody is signed in");
});

test("a renewal of somebody who left is not the token of who came next", async () => {
  let finish: (signIn: SignIn) => void = () => undefined;
  const session = signedIn(oidc("old", 30_000, () => new Promise((resolve) => (finish = resolve))));
  const asked = session.token();
  session.signIn(oidc("of the next", 30_000, () => Promise.resolve(oidc("renewed for the next", HOUR_MS))));
  const next = session.token();
  finish(oidc("renewed for the first", HOUR_MS));
  await asked;
  expect(await next).toBe("renewed for the next");
});

test("an end waits for new credentials, and who is not signed in has none that could end", () => {
  const session = new Session();
  session.end();
  expect(session.state().status).toBe("signed-out");
  session.signIn({ kind: "token", token: "pasted" });
  session.end();
  expect(session.state()).toEqual({ status: "ended", kind: "token" });
  session.signIn({ kind: "token", token: "another" });
  expect(session.state().status).toBe("signed-in");
});

test("whoever listens is told of each change, until they no longer want to be", () => {
  const session = new Session();
  const told: string[] = [];
  const stop = session.subscribe(() => told.push(session.state().status));
  session.signIn({ kind: "none" });
  session.end();
  session.end();
  session.signOut();
  stop();
  session.signIn({ kind: "none" });
  expect(told).toEqual(["signed-in", "ended", "signed-out"]);
});

test("a token is in nothing that the page shows of the session", () => {
  const session = signedIn(oidc("very-secret", HOUR_MS));
  expect(JSON.stringify(session.state()) + JSON.stringify(session)).not.toContain("very-secret");
});
