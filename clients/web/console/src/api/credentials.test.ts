import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { DeadlineExceededError, SecretServiceClient } from "@iotoperations/secret-service-client";
import { CallerSchema, SecretService, VaultSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { Session, type SignIn } from "../session/session";
import { showing } from "./credentials";

const OLD: SignIn = { kind: "token", token: "old" };
const NEW: SignIn = { kind: "token", token: "new" };

/** A service that takes these tokens, answers when `answer` is called, and keeps what it was shown. */
function service(...taken: (string | null)[]) {
  const shown: (string | null)[] = [];
  const waiting: (() => void)[] = [];
  const session = new Session();
  const transport = createRouterTransport(
    ({ service: serve }) =>
      serve(SecretService, {
        getCaller: () => create(CallerSchema, { user: "ada" }),
        getVault: async (_, { requestHeader }) => {
          const authorization = requestHeader.get("authorization");
          shown.push(authorization);
          await new Promise<void>((resolve) => waiting.push(resolve));
          if (!taken.includes(authorization)) {
            throw new ConnectError("who are you?", Code.Unauthenticated);
          }
          return create(VaultSchema);
        },
      }),
    { transport: { interceptors: [showing(session, 1)] } },
  );
  const client = new SecretServiceClient(transport);
  const call = async (): Promise<() => Promise<string>> => {
    const [before, called] = [waiting.length, client.getVault()];
    const outcome = called.then(
      () => "answered",
      () => "refused",
    );
    await Promise.race([expect.poll(() => waiting.length).toBe(before + 1), outcome]);
    return async () => {
      waiting[before]?.();
      return outcome;
    };
  };
  return { session, shown, client, call };
}

test("a refusal ends the session", async () => {
  const { session, shown, call } = service();
  session.signIn(OLD);
  expect(await (await call())()).toBe("refused");
  expect(shown).toEqual(["Bearer old"]);
  expect(session.state().status).toBe("ended");
});

test("a refusal of the old token that comes after the next sign-in doesn't end that", async () => {
  const { session, call } = service("Bearer new");
  session.signIn(OLD, "ada");
  const [first, late] = [await call(), await call()];
  await first();
  expect(session.state().status).toBe("ended");
  session.signIn(NEW, "ada");
  expect(await late()).toBe("refused");
  expect(session.state().status).toBe("signed-in");
  expect(await (await call())()).toBe("answered");
});

test("a token that is given where none was asked for at first counts in place", async () => {
  const { session, shown, call } = service("Bearer new");
  session.signIn({ kind: "none" }, "ada");
  await (await call())();
  expect(session.state().status).toBe("ended");
  session.signIn(NEW, "ada");
  expect(await (await call())()).toBe("answered");
  expect(shown).toEqual([null, "Bearer new"]);
});

test("nothing is called for nobody", async () => {
  const { session, shown, call } = service(null);
  expect(await (await call())()).toBe("refused");
  expect(shown).toEqual([]);
  expect(session.state().status).toBe("signed-out");
});

test("a call that waits for a renewal ends in its own time", async () => {
  const { session, client } = service();
  session.signIn({ kind: "oidc", token: "old", expires: Date.now(), renew: () => new Promise(() => undefined) });
  await expect(client.getVault({ timeoutMs: 50 })).rejects.toThrow(DeadlineExceededError);
  await expect(client.getVault({ signal: AbortSignal.timeout(50) })).rejects.toThrow("timed out");
  expect(session.state().status).toBe("signed-in");
});

test("whoever the service says is there, is known when the session has ended", async () => {
  const { session, client } = service();
  session.signIn(OLD);
  await client.getCaller();
  session.end(OLD);
  session.signIn(NEW, "ada");
  expect(session.state()).toMatchObject({ status: "signed-in", page: 1 });
});

test("what somebody's page still sends is not sent under the name of who came next", async () => {
  const { session, shown, call } = service("Bearer new");
  session.signIn(OLD, "ada");
  session.end(OLD);
  session.signIn(NEW, "eve");
  expect(await (await call())()).toBe("refused");
  expect(shown).toEqual([]);
  expect(session.state().status).toBe("signed-in");
});
