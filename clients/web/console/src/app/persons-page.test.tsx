import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { useQueryClient } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { useLive } from "../api/connection";
import { Session } from "../session/session";
import { PersonsPage } from "./persons-page";
import { SignedInContext } from "./signed-in";

const [FIRST, SECOND] = [
  { kind: "token", token: "first" },
  { kind: "token", token: "second" },
] as const;

beforeEach(() => vi.stubGlobal("fetch", () => new Promise(() => undefined)));
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** The page of ada, who typed something, with what it has. */
async function pageOfAda() {
  const session = new Session();
  session.signIn(FIRST, "ada");
  const seen: { live?: unknown; queries?: ReturnType<typeof useQueryClient> } = {};
  function Form(): ReactNode {
    Object.assign(seen, { live: useLive(), queries: useQueryClient() });
    return <input aria-label="Value" />;
  }
  render(
    <FluentProvider theme={webLightTheme}>
      <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
        <PersonsPage>
          <Form />
        </PersonsPage>
      </SignedInContext>
    </FluentProvider>,
  );
  await userEvent.type(screen.getByLabelText("Value"), "typed by ada");
  seen.queries?.setQueryData(["secrets"], "of ada");
  const had = { ...seen };
  act(() => session.end(FIRST));
  expect(typed()).toBe("typed by ada");
  return { session, had, seen };
}

const typed = (): string => screen.getByLabelText<HTMLInputElement>("Value").value;

test("whoever signs in again keeps what was known and typed", async () => {
  const { session, had, seen } = await pageOfAda();
  act(() => session.signIn(SECOND, "ada"));
  expect(typed()).toBe("typed by ada");
  expect(seen.live).toBe(had.live);
  expect(seen.queries?.getQueryData(["secrets"])).toBe("of ada");
});

test("somebody else who signs in over the page of another gets nothing of it", async () => {
  const { session, had, seen } = await pageOfAda();
  act(() => session.signIn(SECOND, "eve"));
  expect(typed()).toBe("");
  expect(seen.live).not.toBe(had.live);
  expect(seen.queries?.getQueryData(["secrets"])).toBeUndefined();
});
