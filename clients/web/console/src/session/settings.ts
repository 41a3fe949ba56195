/** What the service tells the page before anybody has signed in: `/console.json`. */

/** How callers of this service can show who they are. */
export type AuthenticationKind = "anonymous" | "certificate" | "token" | "oidc";

/** The public client of the OpenID Connect issuer that the page is. */
export interface OidcSettings {
  readonly issuer: string;
  readonly client_id: string;
  readonly scopes: readonly string[];
  /** Which of the issuer's tokens the service verifies. */
  readonly token: "id" | "access";
}

/** The answer. */
export interface Settings {
  readonly version: string;
  readonly authentication: {
    readonly kinds: readonly AuthenticationKind[];
    /** The audience that tokens of the cluster must be for. */
    readonly token?: { readonly audience: string };
    readonly oidc?: OidcSettings;
  };
}

/** Asks for them; fails where the service can't be reached. */
export async function fetchSettings(signal?: AbortSignal): Promise<Settings> {
  const answer = await fetch("/console.json", { cache: "no-store", ...(signal && { signal }) });
  if (!answer.ok) {
    throw new Error(`The service answered ${answer.status} to a request for /console.json.`);
  }
  return (await answer.json()) as Settings;
}
