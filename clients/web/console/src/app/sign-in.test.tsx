import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { cleanup, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { Session } from "../session/session";
import type { Settings } from "../session/settings";
import { SignIn, SignInAgain } from "./sign-in";
import { SignedInContext } from "./signed-in";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(authentication: Settings["authentication"]): Session {
  const session = new Session();
  render(
    <FluentProvider theme={webLightTheme}>
      <SignedInContext value={{ session, settings: { version: "1", authentication } }}>
        <SignIn />
      </SignedInContext>
    </FluentProvider>,
  );
  return session;
}

test("a certificate is offered beside a token, and a browser without one is told what to do", async () => {
  const shown: (string | null)[] = [];
  vi.stubGlobal("fetch", (_: string, { headers }: { headers: Headers }) => {
    shown.push(headers.get("authorization"));
    // Unauthenticated.
    const answered = { "content-type": "application/grpc-web+proto", "grpc-status": "16", "grpc-message": "no" };
    return Promise.resolve(new Response(null, { headers: answered }));
  });
  const session = show({ kinds: ["certificate", "token"], token: { audience: "plant" } });
  expect(screen.getByLabelText("Token of a service account")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Use this browser's certificate" }));
  expect((await screen.findByRole("alert")).textContent).toMatch(/^This browser showed no certificate/);
  expect(shown).toEqual([null]);
  expect(session.state().status).toBe("signed-out");
});

test("where nothing is offered, there is a field for a token, and no talk of certificates", () => {
  show({ kinds: [] });
  expect(screen.getByLabelText("Token")).toBeTruthy();
  expect(screen.queryByText(/certificate/)).toBeNull();
});

test.each([
  ["ada", /what was typed is still there/, /without what was typed/],
  [undefined, /without what was typed/, /still there/],
])("who signed in as %s is promised no more than the page can keep", (user, said, unsaid) => {
  const session = new Session();
  const signIn = { kind: "token", token: "t" } as const;
  session.signIn(signIn, user);
  session.end(signIn);
  render(
    <FluentProvider theme={webLightTheme}>
      <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
        <SignInAgain />
      </SignedInContext>
    </FluentProvider>,
  );
  expect(screen.getByText(said)).toBeTruthy();
  expect(screen.queryByText(unsaid)).toBeNull();
});
