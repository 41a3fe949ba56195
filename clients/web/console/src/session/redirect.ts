/** The window that the issuer sends back: it tells the page, and closes. */

/** Where the issuer sends the browser back to. */
export const REDIRECT_PATH = "/signed-in";
/**
 * Where the page listens: what is said here reaches this origin alone, and the code in it is worth nothing without the
 * verifier that the page keeps.
 */
export const REDIRECT_CHANNEL = "signed-in";

/** Tells the page, and closes the window. */
export function returnFromIssuer(): void {
  const channel = new BroadcastChannel(REDIRECT_CHANNEL);
  channel.postMessage(window.location.search);
  channel.close();
  // The code is of no use any more; it shall not stay in the address either.
  window.history.replaceState(null, "", REDIRECT_PATH);
  window.close();
}

/** What the window says meanwhile, by the parameters that it came back with. */
export function wordsOfReturn(search: string): string {
  const parameters = new URLSearchParams(search);
  const outcome = parameters.has("code") ? "The issuer has answered." : "Nobody was signed in.";
  return `${outcome} The page that opened this window goes on; this one can be closed.`;
}
