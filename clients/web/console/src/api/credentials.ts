/** What each call shows of whoever is signed in, and what an answer says of it. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

import { tokenOf, type Session } from "../session/session";

/**
 * Puts the credentials on each call, and ends the session where the service no longer takes them. A refusal may come late: it ends
 * only what it was about.
 */
export function showing(session: Session): Interceptor {
  return (next) => async (request) => {
    const shown = await before(session.credentials(), request.signal);
    if (shown === undefined) {
      throw new ConnectError("nobody is signed in", Code.Unauthenticated);
    }
    const token = tokenOf(shown);
    if (token !== "") {
      request.header.set("authorization", `Bearer ${token}`);
    }
    try {
      return await next(request);
    } catch (thrown) {
      if (ConnectError.from(thrown).code === Code.Unauthenticated) {
        session.end(shown);
      }
      throw thrown;
    }
  };
}

/** Waits, but not past the end of the call: a renewal may be under way. */
async function before<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let giveUp: () => void = () => undefined;
  const ended = new Promise<never>((_, reject) => {
    giveUp = () => reject(ConnectError.from(signal.reason));
    signal.addEventListener("abort", giveUp);
  });
  try {
    return await Promise.race([waited, ended]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
