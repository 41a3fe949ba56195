import { Code, UnauthenticatedError } from "@iotoperations/secret-service-client";
import { expect, test, vi } from "vitest";

import { enter, type WhoIs } from "./enter";
import { Session, type SignIn } from "./session";

const FIRST: SignIn = { kind: "token", token: "first" };
const SECOND: SignIn = { kind: "token", token: "second" };

function endedOfAda(): Session {
  const session = new Session();
  session.signIn(FIRST, "ada");
  session.end(FIRST);
  return session;
}

test("the first who comes in is not asked for: the page itself will tell", async () => {
  const whoIs = vi.fn<WhoIs>();
  const session = new Session();
  await enter(session, FIRST, { whoIs });
  expect(session.state()).toMatchObject({ status: "signed-in", page: 1 });
  expect(whoIs).not.toHaveBeenCalled();
});

test.each([
  ["ada", 1],
  ["eve", 2],
])("over the ended session of ada, %s gets page %i", async (user, page) => {
  const session = endedOfAda();
  await enter(session, SECOND, { whoIs: () => Promise.resolve(user) });
  expect(session.state()).toMatchObject({ status: "signed-in", page });
});

test("whom the service doesn't take is told so, and what is on the page stays", async () => {
  const session = endedOfAda();
  const refusal = new UnauthenticatedError({ message: "That token has ended.", code: Code.Unauthenticated });
  await expect(enter(session, SECOND, { whoIs: () => Promise.reject(refusal) })).rejects.toBe(refusal);
  expect(session.state()).toMatchObject({ status: "ended", page: 1 });
});

test("who cancels, or leaves, while the service is asked is not signed in", async () => {
  const session = endedOfAda();
  const cancel = new AbortController();
  let answer: (user: string) => void = () => undefined;
  const whoIs = (): Promise<string> => new Promise((resolve) => (answer = resolve));
  const entering = enter(session, SECOND, { whoIs, signal: cancel.signal });
  cancel.abort();
  answer("ada");
  await entering;
  expect(session.state().status).toBe("ended");

  const again = enter(session, SECOND, { whoIs });
  session.signOut();
  answer("ada");
  await again;
  expect(session.state().status).toBe("signed-out");
});
