/** Which ways to sign in the page offers, by what the service says of itself. */
import { quoted } from "../api/commands";
import type { Settings } from "./settings";

/** What stands in the form. */
export interface Ways {
  /** At the issuer, in a window. */
  readonly byIssuer: boolean;
  /** By a token that is pasted. */
  readonly byToken: boolean;
  /** By the certificate that the browser has. */
  readonly byCertificate: boolean;
  readonly tokenLabel: string;
  readonly tokenHint: string;
}

export function waysOf({ kinds, token, oidc }: Settings["authentication"]): Ways {
  const byIssuer = kinds.includes("oidc") && oidc !== undefined;
  // Where nothing is offered, a token may do all the same: the service doesn't tell of an issuer that has no client for this page.
  const byToken = kinds.includes("token") || kinds.includes("oidc") || !kinds.includes("certificate");
  const byCertificate = kinds.includes("certificate");
  const tokenHint = `${sourceOf(kinds, token)} It stays in the memory of this page alone.`;
  return { byIssuer, byToken, byCertificate, tokenLabel: labelOf(kinds), tokenHint };
}

function labelOf(kinds: Settings["authentication"]["kinds"]): string {
  if (kinds.includes("token")) {
    return "Token of a service account";
  }
  return kinds.includes("oidc") ? "Token of the issuer" : "Token";
}

/** Where one comes from. */
function sourceOf(kinds: Settings["authentication"]["kinds"], token: Settings["authentication"]["token"]): string {
  if (token !== undefined) {
    return `kubectl create token NAME -n NAMESPACE --audience ${quoted(token.audience)} prints one.`;
  }
  return kinds.includes("oidc")
    ? "One that the issuer gave to another program."
    : "The service doesn't say which it takes: ask whoever runs it for one.";
}
