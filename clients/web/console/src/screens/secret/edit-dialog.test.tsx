import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { Code, StaleError, UnavailableError, type Changes, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { SignedInContext } from "../../app/signed-in";
import { Session } from "../../session/session";
import { withReference } from "./draft";
import { EditDialog } from "./edit-dialog";

interface Options {
  readonly validateOnly?: boolean;
  readonly requestId?: string;
}

const { updateSyncedSecret } = vi.hoisted(() => ({
  updateSyncedSecret: vi.fn<(base: SyncedSecret, changes: Changes, options: Options) => Promise<SyncedSecret>>(),
}));
vi.mock("../../api/connection", () => ({ useClient: () => ({ updateSyncedSecret }), useLive: vi.fn() }));

beforeEach(() => void updateSyncedSecret.mockReset());
afterEach(cleanup);

const state = (generation: number, description: string, password = "pass"): SyncedSecret =>
  create(SyncedSecretSchema, {
    ...{ name: "syncedSecrets/pump-7", uid: "u", etag: `u-${String(generation)}`, generation: BigInt(generation), description },
    references: [{ key: "password", vaultSecret: `vaultSecrets/${password}` }],
  });
const lost = new UnavailableError({ message: "no answer", code: Code.Unavailable });

/** The dialog of an edit that pins the password: of the first state, whatever the service has when it begins; `now` says what it has by then. */
function edit(begun = state(1, "before")) {
  const read = state(1, "before");
  const [onAccepted, onClose] = [vi.fn(), vi.fn()];
  const session = new Session();
  session.signIn({ kind: "token", token: "t" }, "anna");
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const transport = createRouterTransport(({ service }) => service(SecretService, {}));
  const shown = (current: SyncedSecret) => (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>
        <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <EditDialog
              read={read}
              current={current}
              isGone={false}
              seed={(draft) => withReference(draft, { key: "password", vaultSecret: "vaultSecrets/pass", version: "0af" })}
              onClose={onClose}
              onAccepted={onAccepted}
            />
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>
  );
  const { rerender } = render(shown(begun));
  return { onAccepted, onClose, now: (current: SyncedSecret) => rerender(shown(current)) };
}

const button = (name: string) => screen.getByRole("button", { name });
const isGreyed = (name: string): boolean => button(name).getAttribute("aria-disabled") === "true";
/** The changes that were asked for, without the checks. */
const sent = () => updateSyncedSecret.mock.calls.filter(([, , { validateOnly }]) => validateOnly !== true);

test("an edit of one key changes the state that was read and no other", async () => {
  updateSyncedSecret.mockResolvedValue(state(2, "before"));
  const { onAccepted } = edit();
  await userEvent.click(button("Save"));
  await waitFor(() => expect(onAccepted).toHaveBeenCalledWith(expect.objectContaining({ what: "The change" })));
  expect(updateSyncedSecret.mock.calls.map(([base]) => base.etag)).toEqual(["u-1", "u-1"]);
});

test("whoever is second is refused, sees what the first one did, and decides", async () => {
  updateSyncedSecret.mockRejectedValueOnce(new StaleError({ message: "another state", code: Code.Aborted }));
  const { now, onAccepted } = edit();
  await userEvent.click(button("Save"));
  await screen.findByText("another state");
  now(state(2, "before", "other"));
  expect(screen.getByText("Somebody changed it meanwhile.")).toBeTruthy();
  expect(isGreyed("Save")).toBe(true);
  await userEvent.click(button("Put my edit on what is now"));
  updateSyncedSecret.mockResolvedValue(state(3, "before"));
  await userEvent.click(button("Save"));
  await waitFor(() => expect(onAccepted).toHaveBeenCalled());
  expect(sent().map(([base]) => base.etag)).toEqual(["u-2"]);
});

test("what others changed before it was opened, and whoever edits has not seen, is told at once", () => {
  edit(state(2, "before", "other"));
  expect(screen.getByText("Somebody changed it meanwhile.")).toBeTruthy();
  expect(isGreyed("Save")).toBe(true);
});

test("what others change elsewhere is in nobody's way", async () => {
  updateSyncedSecret.mockResolvedValue(state(3, "theirs"));
  const { now } = edit();
  now(state(2, "theirs"));
  expect(screen.getByText("Your edit touches nothing of it: both stay when you save.")).toBeTruthy();
  await userEvent.click(button("Save"));
  await waitFor(() => expect(sent().map(([base, changes]) => [base.etag, Object.keys(changes)])).toEqual([["u-2", ["setReferences"]]]));
});

test("a save whose answer was lost is repeated as the same request, and never told as somebody else's change", async () => {
  updateSyncedSecret.mockResolvedValueOnce(state(1, "before")).mockRejectedValueOnce(lost);
  const { now, onAccepted } = edit();
  await userEvent.click(button("Save"));
  await screen.findByText("Whether it was saved is not known.");
  // It was made after all, and the page hears of it.
  now(state(2, "before", "other"));
  expect(screen.queryByText(/changed it meanwhile/)).toBeNull();
  expect(isGreyed("Check")).toBe(true);
  expect(isGreyed("Save again")).toBe(false);
  updateSyncedSecret.mockResolvedValueOnce(state(2, "before"));
  await userEvent.click(button("Save again"));
  await waitFor(() => expect(onAccepted).toHaveBeenCalled());
  const [first, second] = sent();
  expect(second).toEqual(first);
  expect(sent()).toHaveLength(2);
});

test("what is edited after a save whose answer was lost is another request", async () => {
  updateSyncedSecret.mockResolvedValueOnce(state(1, "before")).mockRejectedValueOnce(lost);
  const { now } = edit();
  await userEvent.click(button("Save"));
  await screen.findByText("Whether it was saved is not known.");
  await userEvent.type(screen.getByLabelText("Description"), ", and after");
  now(state(2, "theirs"));
  expect(screen.getByText("It was changed meanwhile, maybe by what you saved before.")).toBeTruthy();
  expect(isGreyed("Save")).toBe(true);
  expect(screen.queryByText("Whether it was saved is not known.")).toBeNull();
});

test("nothing is typed into what is being saved", async () => {
  updateSyncedSecret.mockReturnValue(new Promise(() => undefined));
  edit();
  await userEvent.click(button("Save"));
  await userEvent.type(screen.getByLabelText("Description"), " lost");
  expect(screen.getByLabelText<HTMLTextAreaElement>("Description").value).toBe("before");
});

test("labels that are being typed survive when the edit is put on what is now", async () => {
  const { now } = edit();
  for (const name of ["Add label", "Add label"]) {
    await userEvent.click(button(name));
  }
  await userEvent.type(screen.getByLabelText("Value of label 1"), "no name yet");
  await userEvent.type(screen.getByLabelText("Name of label 2"), "line");
  now(state(2, "theirs"));
  await userEvent.click(button("Put my edit on what is now"));
  const values = screen.getAllByLabelText<HTMLInputElement>(/^(Name|Value) of label/).map(({ value }) => value);
  expect(values).toEqual(["line", "", "", "no name yet"]);
});
