import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { TransportProvider } from "@connectrpc/connect-query";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { ConditionStatus, FailedPreconditionError, SecretServiceClient, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { useState, type ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { SignedInContext } from "../app/signed-in";
import { Session } from "../session/session";
import { NotifyProvider } from "../ui/notify";
import { DeleteDialog } from "./delete-dialog";

const connected = vi.hoisted((): { client: unknown } => ({ client: undefined }));
vi.mock("../api/connection", () => ({ useClient: () => connected.client }));

afterEach(cleanup);

const secret = (id: string, inUse = ConditionStatus.FALSE): SyncedSecret =>
  create(SyncedSecretSchema, {
    name: `syncedSecrets/${id}`,
    uid: id,
    etag: `${id}-1`,
    state: State.SYNCED,
    conditions: [{ type: "InUse", status: inUse, message: inUse === ConditionStatus.UNKNOWN ? "Devices can't be listed." : "No resource uses it." }],
  });

/** The dialog in front of a service that answers to a deletion and to a look at it as told. */
function shown(secrets: readonly SyncedSecret[], onDelete: (name: string) => Promise<object>, onGet = () => gone()) {
  const deleteSyncedSecret = vi.fn(({ name }: { name: string; force: boolean }) => onDelete(name));
  const transport = createRouterTransport(({ service }) =>
    service(SecretService, { deleteSyncedSecret, getSyncedSecret: () => onGet(), listSecretUsages: () => ({}) }),
  );
  connected.client = new SecretServiceClient(transport);
  const session = new Session();
  session.signIn({ kind: "token", token: "t" }, "anna");
  const [onClose, onDone] = [vi.fn(), vi.fn()];
  function Screen(): ReactNode {
    const [open, setOpen] = useState(true);
    const closing = (told: (names?: string[]) => void) => (names?: string[]) => {
      setOpen(false);
      told(names);
    };
    return (
      <>
        <button onClick={() => setOpen(false)}>Go elsewhere</button>
        {open && <DeleteDialog secrets={secrets} onClose={closing(onClose)} onDone={closing(onDone)} />}
      </>
    );
  }
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <NotifyProvider>
              <Screen />
            </NotifyProvider>
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
  return { onClose, onDone, deleteSyncedSecret };
}

function gone(): never {
  throw new ConnectError("It is not there.", Code.NotFound);
}
const refusal = (code: Code, words: string) => () => Promise.reject(new ConnectError(words, code));
const button = (name: string) => screen.findByRole("button", { name });
const press = async (name: string): Promise<void> => {
  const found = await waitFor(() => {
    const button = screen.getByRole("button", { name });
    expect(button.getAttribute("aria-disabled")).not.toBe("true");
    return button;
  });
  await userEvent.click(found);
};

test("what is gone closes the dialog and is told", async () => {
  const { onDone, onClose } = shown([secret("a")], () => Promise.resolve({}));
  await press("Delete");
  await waitFor(() => expect(onDone).toHaveBeenCalledWith(["syncedSecrets/a"]));
  expect(onClose).not.toHaveBeenCalled();
  expect(await screen.findByText("a is deleted")).toBeDefined();
});

test("an accepted deletion that can't be looked at is none that stays", async () => {
  const { onDone } = shown([secret("a")], () => Promise.resolve({}), refusal(Code.PermissionDenied, "may not do this.") as () => never);
  await press("Delete");
  expect(await screen.findByText(/the service has accepted it.*may not do this/)).toBeDefined();
  expect(screen.queryByText(/It stays/)).toBeNull();
  await press("Close");
  expect(onDone).toHaveBeenCalledWith(["syncedSecrets/a"]);
  expect(await screen.findByText("a is being deleted")).toBeDefined();
});

test("a lost answer is not told as a refusal", async () => {
  const { onClose, onDone } = shown([secret("a")], refusal(Code.DeadlineExceeded, "Too late."), refusal(Code.PermissionDenied, "no") as () => never);
  await press("Delete");
  expect(await screen.findByText("Whether it is deleted is not known.")).toBeDefined();
  expect(screen.queryByText(/It stays/)).toBeNull();
  await press("Close");
  expect([onClose.mock.calls.length, onDone.mock.calls.length]).toEqual([1, 0]);
  expect(await screen.findByText("Whether a is deleted is not known")).toBeDefined();
});

test("while answers are waited for, nothing closes it, and Stop begins nothing more", async () => {
  const answers: (() => void)[] = [];
  const secrets = Array.from({ length: 8 }, (_, id) => secret(`s${id}`));
  const { onClose, deleteSyncedSecret } = shown(secrets, () => new Promise((resolve) => answers.push(() => resolve({}))));
  await press("Delete 8");
  await waitFor(() => expect(deleteSyncedSecret).toHaveBeenCalledTimes(4));
  await userEvent.keyboard("{Escape}");
  expect(onClose).not.toHaveBeenCalled();
  expect(screen.queryByRole("button", { name: "Close" })).toBeNull();
  expect(screen.getByText("4 asked for, 4 waiting.")).toBeDefined();
  await press("Stop");
  answers.forEach((answer) => answer());
  expect(await screen.findByText("4 deleted, 4 not asked for.")).toBeDefined();
  expect(deleteSyncedSecret).toHaveBeenCalledTimes(4);
  await press("Close");
  expect(await screen.findByText("Of 8 synced secrets: 4 deleted, 4 not asked for")).toBeDefined();
});

test("whoever goes elsewhere meanwhile is told of what was asked for", async () => {
  const answers: (() => void)[] = [];
  const { deleteSyncedSecret } = shown([secret("a")], () => new Promise((_, reject) => answers.push(() => reject(new ConnectError("You may not.", Code.PermissionDenied)))));
  await press("Delete");
  await waitFor(() => expect(deleteSyncedSecret).toHaveBeenCalledTimes(1));
  expect((await button("Close")).getAttribute("aria-disabled")).toBe("true");
  screen.getByText("Go elsewhere").click();
  answers.forEach((answer) => answer());
  expect(await screen.findByText("a is not deleted")).toBeDefined();
  // The toast, and what is read aloud of it.
  expect(screen.getAllByText(/may not do this/).length).toBeGreaterThan(0);
});

test("where nobody knows whether it is used, whoever types its name deletes it", async () => {
  const { deleteSyncedSecret } = shown([secret("a", ConditionStatus.UNKNOWN)], () => Promise.resolve({}));
  expect(await screen.findByText(/whether something uses it is not known\. Devices can't be listed\./)).toBeDefined();
  expect(screen.queryByText("Nothing uses it.")).toBeNull();
  expect((await button("Delete")).getAttribute("aria-disabled")).toBe("true");
  await userEvent.type(screen.getByLabelText(/type its name/), "a");
  await press("Delete all the same");
  await waitFor(() => expect(deleteSyncedSecret.mock.calls[0]?.[0].force).toBe(true));
});

test("after a refusal for a use, the question comes back with the way on", async () => {
  const { deleteSyncedSecret } = shown([secret("a")], () => Promise.resolve({}));
  const refused = new FailedPreconditionError({ message: "What uses it is not known.", code: Code.FailedPrecondition, reason: "USAGES_UNKNOWN" });
  vi.spyOn(connected.client as SecretServiceClient, "deleteSyncedSecret").mockRejectedValueOnce(refused);
  await press("Delete");
  expect(await screen.findByText(/It stays/)).toBeDefined();
  await press("Back");
  await userEvent.type(await screen.findByLabelText(/type its name/), "a");
  await press("Delete all the same");
  await waitFor(() => expect(deleteSyncedSecret.mock.calls.map(([{ force }]) => force)).toEqual([true]));
});
