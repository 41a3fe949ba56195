/**
 * Sign-in at an OpenID Connect issuer: authorization code with PKCE, in a window of its own, so that the page and what was typed
 * in it stay. The verifier and the tokens live in memory alone.
 */
import * as oauth from "oauth4webapi";

import { REDIRECT_CHANNEL, REDIRECT_PATH } from "./redirect";
import type { OidcSettings } from "./settings";
import type { SignIn } from "./session";

/** How long somebody has to sign in. */
const PATIENCE_MS = 10 * 60_000;

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
    const server = await discover(settings.issuer);
    const client: oauth.Client = { client_id: settings.client_id };
    const verifier = oauth.generateRandomCodeVerifier();
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
    const answered = answerTo(state, cancelled);
    opened.location.replace(await authorizationUrl(server, settings, { verifier, state, nonce }));
    const parameters = oauth.validateAuthResponse(server, client, await answered, state);
    const answer = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      parameters,
      redirectUri(),
      verifier,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    return signInOf(server, client, settings, tokens);
  } catch (error) {
    throw new Error(explained(error), { cause: error });
  } finally {
    opened.close();
  }
}

async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  const answer = await oauth.discoveryRequest(url);
  return oauth.processDiscoveryResponse(url, answer);
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

function signInOf(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  settings: OidcSettings,
  tokens: oauth.TokenEndpointResponse,
  refreshedWith?: string,
): SignIn {
  const token = settings.token === "id" ? tokens.id_token : tokens.access_token;
  if (token === undefined) {
    throw new Error("the issuer gave no ID token");
  }
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const lasts = settings.token === "id" && claims ? claims.exp * 1_000 : Date.now() + (tokens.expires_in ?? 300) * 1_000;
  const refreshToken = tokens.refresh_token ?? refreshedWith;
  if (refreshToken === undefined) {
    return { kind: "oidc", token, expires: lasts };
  }
  const renew = async (): Promise<SignIn> => {
    const answer = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken);
    const renewed = await oauth.processRefreshTokenResponse(server, client, answer);
    return signInOf(server, client, settings, renewed, refreshToken);
  };
  return { kind: "oidc", token, expires: lasts, renew };
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
    return "The issuer can't be reached from this browser, or doesn't allow this page's origin. Ask whoever runs it to allow it (CORS).";
  }
  return `Nobody is signed in: ${error instanceof Error ? error.message : "the sign-in failed"}.`;
}
