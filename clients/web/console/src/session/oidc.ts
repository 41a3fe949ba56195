/**
 * Sign-in at an OpenID Connect issuer: authorization code with PKCE, in a window of its own, so that the page and what was typed
 * in it stay. The verifier and the tokens live in memory alone.
 */
import * as oauth from "oauth4webapi";

import { REDIRECT_CHANNEL, REDIRECT_PATH } from "./redirect";
import type { OidcSettings } from "./settings";
import { RENEWAL_MS, RenewalRefusedError, type SignIn } from "./session";

/** How long somebody has to sign in. */
const PATIENCE_MS = 10 * 60_000;
/** How long the issuer may take to answer the page. */
const ANSWER_MS = 10_000;

/**
 * Signs in; fails with a text for people. Call it from a click: browsers open windows for nothing else. Whether the window was
 * closed, no page can tell: once the issuer's page is in it, the browser has cut it off from ours (Cross-Origin-Opener-Policy). So
 * `cancelled` ends the wait.
 */
export async function signInAtIssuer(settings: OidcSettings, cancelled: AbortSignal): Promise<SignIn> {
  // Opened before anything is awaited: later the click no longer counts.
  const opened = window.open("about:blank", "_blank", "popup,width=520,height=720");
  if (opened === null) {
    throw new Error("The browser blocked the window to sign in. Allow pop-up windows for this page, and sign in again.");
  }
  try {
    const signIn = await signInIn(opened, settings, cancelled);
    cancelled.throwIfAborted();
    return signIn;
  } catch (error) {
    throw new Error(explained(error), { cause: error });
  } finally {
    opened.close();
  }
}

async function signInIn(opened: Window, settings: OidcSettings, cancelled: AbortSignal): Promise<SignIn> {
  const server = await discover(settings.issuer, soon(cancelled));
  const client: oauth.Client = { client_id: settings.client_id };
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const url = await authorizationUrl(server, settings, { verifier, state, nonce });
  const answered = answerTo(state, cancelled);
  opened.location.replace(url);
  const parameters = oauth.validateAuthResponse(server, client, await answered, state);
  const answer = await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirectUri(), verifier, {
    signal: soon(cancelled),
  });
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
    expectedNonce: nonce,
    requireIdToken: true,
  });
  const { refresh_token: refreshToken } = tokens;
  const renew = refreshToken === undefined ? undefined : renewal(server, client, settings, refreshToken);
  return signInOf(settings, tokens, renew);
}

async function discover(issuer: string, signal: AbortSignal): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  const answer = await oauth.discoveryRequest(url, { signal });
  return oauth.processDiscoveryResponse(url, answer);
}

/** For a request that the issuer answers at once or not at all. */
function soon(cancelled: AbortSignal): AbortSignal {
  return AbortSignal.any([cancelled, AbortSignal.timeout(ANSWER_MS)]);
}

async function authorizationUrl(
  server: oauth.AuthorizationServer,
  settings: OidcSettings,
  secrets: { verifier: string; state: string; nonce: string },
): Promise<string> {
  if (server.authorization_endpoint === undefined) {
    throw new Error("the issuer names no authorization endpoint");
  }
  const url = new URL(server.authorization_endpoint);
  const parameters = {
    client_id: settings.client_id,
    redirect_uri: redirectUri(),
    response_type: "code",
    scope: settings.scopes.join(" "),
    code_challenge: await oauth.calculatePKCECodeChallenge(secrets.verifier),
    code_challenge_method: "S256",
    state: secrets.state,
    nonce: secrets.nonce,
  };
  for (const [name, value] of Object.entries(parameters)) {
    url.searchParams.set(name, value);
  }
  return url.href;
}

/** The parameters that the window comes back with. */
function answerTo(state: string, cancelled: AbortSignal): Promise<URLSearchParams> {
  // One that was aborted before tells nobody who begins to listen now.
  cancelled.throwIfAborted();
  const channel = new BroadcastChannel(REDIRECT_CHANNEL);
  const ended = AbortSignal.any([cancelled, AbortSignal.timeout(PATIENCE_MS)]);
  const answered = new Promise<URLSearchParams>((resolve, reject) => {
    ended.addEventListener("abort", () => {
      reject(new Error(cancelled.aborted ? "the sign-in was cancelled" : "nobody signed in within ten minutes"));
    });
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      const parameters = new URLSearchParams(typeof data === "string" ? data : "");
      // Another page of this origin may be signing in, too: its answer has another state.
      if (parameters.get("state") === state) {
        resolve(parameters);
      }
    };
  });
  return answered.finally(() => channel.close());
}

type Renew = () => Promise<SignIn>;

function signInOf(settings: OidcSettings, tokens: oauth.TokenEndpointResponse, renew: Renew | undefined): SignIn {
  const token = settings.token === "id" ? tokens.id_token : tokens.access_token;
  if (token === undefined) {
    throw new Error("the issuer gave no ID token");
  }
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const expires = settings.token === "id" && claims ? claims.exp * 1_000 : Date.now() + (tokens.expires_in ?? 300) * 1_000;
  return { kind: "oidc", token, expires, ...(renew && { renew }) };
}

/** Renews by the newest refresh token there is: an issuer that rotates them takes each once, also if nothing else of its answer is of use. */
function renewal(server: oauth.AuthorizationServer, client: oauth.Client, settings: OidcSettings, first: string): Renew {
  let refreshToken = first;
  const renew = async (): Promise<SignIn> => {
    try {
      const signal = AbortSignal.timeout(RENEWAL_MS);
      const answer = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, { signal });
      const renewed = await oauth.processRefreshTokenResponse(server, client, answer);
      refreshToken = renewed.refresh_token ?? refreshToken;
      return signInOf(settings, renewed, renew);
    } catch (error) {
      throw isRefusal(error) ? new RenewalRefusedError(explained(error), { cause: error }) : error;
    }
  };
  return renew;
}

/** Whether the issuer said no, and not that it has no time. */
function isRefusal(error: unknown): boolean {
  return error instanceof oauth.ResponseBodyError && error.status < 500 && error.status !== 429;
}

function redirectUri(): string {
  return new URL(REDIRECT_PATH, window.location.origin).href;
}

/** What went wrong, in words: the issuer's own where it gave some. */
function explained(error: unknown): string {
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    return `The issuer refused the sign-in: ${error.error_description ?? error.error}.`;
  }
  if (error instanceof TypeError) {
    // A browser says no more. The policy that the page was served with names the issuer's endpoints as the service knew them then.
    return (
      "The issuer can't be reached from this browser, or the browser keeps this page from calling it. Load the page again and sign in " +
      "once more; if that doesn't help, ask whoever runs the issuer to allow this page's origin (CORS)."
    );
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "The issuer doesn't answer. Try again in a moment.";
  }
  return `Nobody is signed in: ${error instanceof Error ? error.message : "the sign-in failed"}.`;
}
