/** Signing in: who comes in over an ended session, or without a token, must first be known to the service. */
import { Code, SecretServiceClient, SecretServiceError } from "@iotoperations/secret-service-client";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { tokenOf, type Session, type SignIn } from "./session";

/** How long the service may take to say who somebody is. */
const ANSWER_MS = 10_000;

/** Who the service takes the credentials for; undefined where its release doesn't tell. Fails where it takes them for nobody. */
export type WhoIs = (signIn: SignIn) => Promise<string | undefined>;

interface EnterOptions {
  readonly whoIs?: WhoIs;
  /** Somebody who left off meanwhile is not signed in. */
  readonly signal?: AbortSignal;
}

/** Signs in. Fails where that needs an answer of the service and there is none; then everything stays as it is. */
export async function enter(session: Session, signIn: SignIn, { whoIs = askService, signal }: EnterOptions = {}): Promise<void> {
  const before = session.state();
  if (before.status !== "ended" && signIn.kind !== "none") {
    session.signIn(signIn);
    return;
  }
  const user = await whoIs(signIn);
  // Whoever was faster stays.
  if (session.state() === before && signal?.aborted !== true) {
    session.signIn(signIn, user);
  }
}

/** Asks by a way of its own: the page's shows the credentials of whoever is signed in. */
async function askService(signIn: SignIn): Promise<string | undefined> {
  const target = window.location.origin;
  const token = tokenOf(signIn);
  const client = new SecretServiceClient(createGrpcWebTransport({ baseUrl: target }), { target, ...(token !== "" && { token }) });
  try {
    return (await client.getCaller({ timeoutMs: ANSWER_MS })).user;
  } catch (error) {
    if (error instanceof SecretServiceError && error.code === Code.Unimplemented) {
      return undefined;
    }
    throw error;
  }
}
