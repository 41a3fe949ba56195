import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { signInAtIssuer } from "./oidc";
import { REDIRECT_CHANNEL } from "./redirect";
import { RenewalRefusedError, type SignIn } from "./session";
import type { OidcSettings } from "./settings";

const ISSUER = "https://issuer.example";
const SETTINGS: OidcSettings = { issuer: ISSUER, client_id: "console", scopes: ["openid"], token: "id" };
const DISCOVERED = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/authorize`,
  token_endpoint: `${ISSUER}/token`,
};

/** Where the window was sent; empty as long as it was not. */
let sentTo = "";
const close = vi.fn();

type Body = Record<string, unknown>;
type TokenEndpoint = (form: URLSearchParams) => Promise<Response> | Response;
const json = (body: Body, status = 200): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

beforeEach(() => {
  sentTo = "";
  const opened = { close, location: { replace: (url: string) => (sentTo = url) } };
  vi.stubGlobal("open", () => opened);
});
afterEach(() => vi.unstubAllGlobals());

/** An ID token as the issuer would sign it. */
function idToken(nonce: string, more: Body = {}): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: ISSUER, aud: "console", sub: "ada", iat: now, exp: now + 600, nonce, ...more };
  const part = (content: Body): string => btoa(JSON.stringify(content)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2ln`;
}

const asked = (name: string): string => new URL(sentTo).searchParams.get(name) ?? "";
const granted = (refresh = "first"): Response =>
  json({ access_token: "access", token_type: "bearer", id_token: idToken(asked("nonce")), refresh_token: refresh });

/** An issuer whose token endpoint answers so. */
function issuer(tokens: TokenEndpoint, discovery: () => Promise<Response> = () => Promise.resolve(json(DISCOVERED))): void {
  vi.stubGlobal("fetch", async (url: string, { body, signal }: { body?: URLSearchParams; signal?: AbortSignal } = {}) => {
    const late = new Promise<never>((_, reject) => {
      const giveUp = (): void => reject(signal?.reason as Error);
      if (signal?.aborted) {
        giveUp();
      }
      signal?.addEventListener("abort", giveUp);
    });
    const form = new URLSearchParams(body?.toString());
    return Promise.race([url.startsWith(`${ISSUER}/token`) ? tokens(form) : discovery(), late]);
  });
}

/** What the window says when it comes back. */
async function comeBack(): Promise<void> {
  await expect.poll(() => sentTo).not.toBe("");
  const channel = new BroadcastChannel(REDIRECT_CHANNEL);
  channel.postMessage(`?code=code&state=${asked("state")}`);
  channel.close();
}

async function signedIn(tokens: TokenEndpoint): Promise<SignIn & { kind: "oidc" }> {
  issuer(tokens);
  const signingIn = signInAtIssuer(SETTINGS, new AbortController().signal);
  await comeBack();
  const signIn = await signingIn;
  if (signIn.kind !== "oidc") {
    throw new Error("signed in by something else");
  }
  return signIn;
}

test("a rotated refresh token is kept, also of an answer without an ID token, which renews nothing", async () => {
  const shown: (string | null)[] = [];
  const signIn = await signedIn((form) => {
    shown.push(form.get("refresh_token"));
    switch (shown.length) {
      case 1:
        return granted("first");
      case 2:
        return json({ access_token: "access", token_type: "bearer", refresh_token: "second" });
      default:
        return granted("third");
    }
  });
  await expect(signIn.renew?.()).rejects.toThrow("no ID token");
  expect(await signIn.renew?.()).toMatchObject({ kind: "oidc" });
  expect(shown).toEqual([null, "first", "second"]);
});

test("a refusal to renew is told from an issuer that is away", async () => {
  const answers = [json({ error: "temporarily_unavailable" }, 503), json({ error: "invalid_grant" }, 400)];
  const signIn = await signedIn((form) => (form.get("grant_type") === "refresh_token" ? (answers.shift() ?? granted()) : granted()));
  await expect(signIn.renew?.()).rejects.not.toBeInstanceOf(RenewalRefusedError);
  await expect(signIn.renew?.()).rejects.toBeInstanceOf(RenewalRefusedError);
});

test("an issuer that doesn't answer a renewal is given up", async () => {
  const signIn = await signedIn((form) => (form.get("grant_type") === "refresh_token" ? new Promise(() => undefined) : granted()));
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort(new DOMException("late", "TimeoutError")));
  await expect(signIn.renew?.()).rejects.toThrow("late");
});

test("who cancels while the issuer is asked what it is, is sent nowhere", async () => {
  let discovered: (answer: Response) => void = () => undefined;
  issuer(() => granted(), () => new Promise((resolve) => (discovered = resolve)));
  const cancel = new AbortController();
  const signingIn = signInAtIssuer(SETTINGS, cancel.signal);
  cancel.abort();
  discovered(json(DISCOVERED));
  await expect(signingIn).rejects.toThrow();
  expect(sentTo).toBe("");
  expect(close).toHaveBeenCalled();
});

test("who cancels while the tokens are asked for is not signed in", async () => {
  const cancel = new AbortController();
  issuer(() => {
    cancel.abort();
    return granted();
  });
  const signingIn = signInAtIssuer(SETTINGS, cancel.signal);
  await comeBack();
  await expect(signingIn).rejects.toThrow();
});

test("a request for tokens that the browser blocks is no reason to blame the issuer alone", async () => {
  issuer(() => Promise.reject(new TypeError("Failed to fetch")));
  const signingIn = signInAtIssuer(SETTINGS, new AbortController().signal);
  const failed = expect(signingIn).rejects.toThrow(/Load the page again/);
  await comeBack();
  await failed;
});

test("an issuer that is silent is said to be", async () => {
  issuer(() => granted(), () => Promise.reject(new DOMException("late", "TimeoutError")));
  await expect(signInAtIssuer(SETTINGS, new AbortController().signal)).rejects.toThrow("The issuer doesn't answer.");
});
