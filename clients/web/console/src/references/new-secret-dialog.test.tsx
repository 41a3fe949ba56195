import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { SecretServiceClient, SecretValue } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import * as connection from "../api/connection";
import { SignedInContext } from "../app/signed-in";
import { Session } from "../session/session";
import { NewSecretDialog, type NewSecretDialogProps } from "./new-secret-dialog";
import type { NewSecretDraft } from "./secret-draft";

afterEach(cleanup);

const before: NewSecretDraft = { vaultSecret: "pump-password", value: new SecretValue("before"), kind: "text", size: 6, revision: "r" };

/** The dialog in front of a service that takes the name `taken` for taken, and answers once `answer` was called. */
function show(props: Partial<NewSecretDialogProps> = {}) {
  const onSubmit = vi.fn<(draft: NewSecretDraft) => void>();
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const transport = createRouterTransport(({ service }) =>
    service(SecretService, {
      createVaultSecret: async ({ vaultSecretId }) => {
        await answered;
        if (vaultSecretId === "taken") {
          throw new ConnectError("taken", Code.AlreadyExists);
        }
        return {};
      },
    }),
  );
  vi.spyOn(connection, "useClient").mockReturnValue(new SecretServiceClient(transport, { target: "test" }));
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <SignedInContext value={{ session: new Session(), settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <NewSecretDialog open onClose={() => undefined} use="reference" multiline onSubmit={onSubmit} {...props} />
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
  const add = (): Promise<void> => userEvent.click(screen.getByRole("button", { name: "Add" }));
  return { answer, add, onSubmit, submitted: () => onSubmit.mock.calls.map(([draft]) => draft.value.reveal()) };
}

const field = (): HTMLElement => screen.getByLabelText(/^Secret value/);
const upload = (file: File): Promise<void> => userEvent.upload(screen.getByLabelText("File for Secret value"), file);
const named = (): Promise<HTMLElement> => screen.findByText("The name is free.");

/** A file whose bytes come once `finish` was called. */
function slowFile(name: string, text: string) {
  let finish: () => void = () => undefined;
  const file = new File([text], name);
  const bytes = new Promise<ArrayBuffer>((resolve) => (finish = () => resolve(new TextEncoder().encode(text).buffer)));
  vi.spyOn(file, "arrayBuffer").mockReturnValue(bytes);
  return { file, finish };
}

test.each([
  ["is too large", () => fireEvent.input(field(), { target: { value: "x".repeat(30_000) } }), /^The vault takes at most 25,600 bytes/],
  ["has half a character", () => fireEvent.input(field(), { target: { value: "x\ud800" } }), /half a character/],
  ["is an empty file", () => upload(new File([], "none.txt")), "none.txt is empty."],
  ["is a file far too large", () => upload(new File(["x".repeat(1_048_577)], "huge.txt")), /^huge.txt is larger/],
])("a new value that %s is not taken for the one before, and can be cleared", async (_, give, said) => {
  const { answer, add, onSubmit, submitted } = show({ initial: before });
  answer();
  await named();
  await give();
  await screen.findByText(said);
  await add();
  expect(onSubmit).not.toHaveBeenCalled();
  await userEvent.click(screen.getByRole("button", { name: "Clear" }));
  expect(screen.queryByText(said)).toBeNull();
  await add();
  expect(submitted()).toEqual(["before"]);
});

test("a file that is still being read is not the value before, and what is typed meanwhile is what counts", async () => {
  const { answer, add, onSubmit, submitted } = show({ initial: before });
  answer();
  await named();
  const { file, finish } = slowFile("new.txt", "of the file");
  await upload(file);
  await add();
  expect(onSubmit).not.toHaveBeenCalled();
  fireEvent.input(field(), { target: { value: "typed" } });
  finish();
  await Promise.resolve();
  await add();
  expect(submitted()).toEqual(["typed"]);
  expect((field() as HTMLTextAreaElement).readOnly).toBe(false);
});

test("a file that was read is the value", async () => {
  const { answer, add, submitted } = show({ initial: before });
  answer();
  await named();
  await upload(new File(["of the file"], "new.txt"));
  await screen.findByText(/^new.txt · 11 bytes/);
  await add();
  expect(submitted()).toEqual(["of the file"]);
});

test("whoever goes on while the name is checked does so with what stood there then", async () => {
  const { answer, add, onSubmit, submitted } = show({ proposedName: "pump-password" });
  fireEvent.input(field(), { target: { value: "first" } });
  await add();
  fireEvent.input(field(), { target: { value: "half ed" } });
  answer();
  await named();
  expect(onSubmit).not.toHaveBeenCalled();
  await add();
  expect(submitted()).toEqual(["half ed"]);
});

test("whoever changes nothing while the name is checked goes on by that alone", async () => {
  const { answer, add, submitted } = show({ proposedName: "pump-password" });
  fireEvent.input(field(), { target: { value: "first" } });
  await add();
  expect(submitted()).toEqual([]);
  answer();
  await waitFor(() => expect(submitted()).toEqual(["first"]));
});
