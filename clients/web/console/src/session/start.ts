/** How a session begins: some are there without doing anything. */
import { enter, type WhoIs } from "./enter";
import { Session } from "./session";
import type { Settings } from "./settings";

/** A session in which somebody is signed in already where nobody is asked for credentials, or the browser has a certificate that counts. */
export async function startSession({ authentication }: Settings, whoIs?: WhoIs): Promise<Session> {
  const session = new Session();
  const { kinds } = authentication;
  if (kinds.includes("anonymous")) {
    session.signIn({ kind: "none" });
  } else if (kinds.includes("certificate")) {
    try {
      await enter(session, { kind: "none" }, { ...(whoIs && { whoIs }) });
    } catch {
      // Without one, somebody chooses how to sign in, and may try it again.
    }
  }
  return session;
}
