import { Code, UnauthenticatedError } from "@iotoperations/secret-service-client";
import { expect, test, vi } from "vitest";

import type { WhoIs } from "./enter";
import type { AuthenticationKind } from "./settings";
import { startSession } from "./start";

const start = (kinds: readonly AuthenticationKind[], whoIs: WhoIs) => startSession({ version: "1", authentication: { kinds } }, whoIs);
const refused: WhoIs = () => Promise.reject(new UnauthenticatedError({ message: "Who are you?", code: Code.Unauthenticated }));

test.each([[["certificate"]], [["certificate", "token"]], [["certificate", "oidc", "token"]]] as const)(
  "a certificate that the browser shows is enough where %s count",
  async (kinds) => {
    const whoIs = vi.fn<WhoIs>(() => Promise.resolve("CN=ada"));
    expect((await start(kinds, whoIs)).state()).toMatchObject({ status: "signed-in", kind: "none" });
    expect(whoIs.mock.calls).toEqual([[{ kind: "none" }]]);
  },
);

test.each([[["certificate"]], [["certificate", "token"]]] as const)("without a certificate, nobody is signed in where %s count", async (kinds) => {
  expect((await start(kinds, refused)).state().status).toBe("signed-out");
});

test("nobody is asked for anything where anonymous callers count", async () => {
  expect((await start(["anonymous", "certificate"], refused)).state()).toMatchObject({ status: "signed-in", kind: "none" });
});

test.each([[[]], [["token"]], [["oidc", "token"]]] as const)("nobody is signed in, and nothing is called, where %s count", async (kinds) => {
  const whoIs = vi.fn<WhoIs>();
  expect((await start(kinds, whoIs)).state().status).toBe("signed-out");
  expect(whoIs).not.toHaveBeenCalled();
});
