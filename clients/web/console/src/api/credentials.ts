/** What each call shows of whoever is signed in, and what an answer says of it. */
import { isMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { CallerSchema } from "@iotoperations/secret-service-client/v1";

import { tokenOf, type Session } from "../session/session";

/**
 * Puts the credentials on each call of a page, and ends the session where the service no longer takes them. A refusal may come
 * late: it ends only what it was about. What a page still sends after somebody else has begun another one is not sent under their name.
 */
export function showing(session: Session, page: number): Interceptor {
  return (next) => async (request) => {
    const shown = await before(session.credentials(), request.signal);
    if (shown === undefined || session.state().page !== page) {
      throw new ConnectError("whoever called is no longer signed in", Code.Unauthenticated);
    }
    const token = tokenOf(shown);
    if (token !== "") {
      request.header.set("authorization", `Bearer ${token}`);
    }
    try {
      const answer = await next(request);
      if (!answer.stream && isMessage(answer.message, CallerSchema)) {
        session.known(shown, answer.message.user);
      }
      return answer;
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
