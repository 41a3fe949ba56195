import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { TransportProvider } from "@connectrpc/connect-query";
import { createRouterTransport } from "@connectrpc/connect";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { SignedInContext } from "../app/signed-in";
import { Session } from "../session/session";
import { CloseButton, Dialog } from "./dialog";

afterEach(cleanup);

function shown(props: { busy?: boolean; stays?: boolean } = {}) {
  const session = new Session();
  const signIn = { kind: "token", token: "t" } as const;
  session.signIn(signIn, "anna");
  const onClose = vi.fn();
  const transport = createRouterTransport(({ service }) => service(SecretService, {}));
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <Dialog title="Edit" onClose={onClose} actions={<CloseButton>Cancel</CloseButton>} {...props}>
              <input aria-label="Description" />
            </Dialog>
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
  return { onClose, end: () => session.end(signIn) };
}

test("whoever's sign-in ends in a dialog can sign in again in it", async () => {
  const { end } = shown();
  const dialog = screen.getByRole("dialog");
  await userEvent.type(within(dialog).getByLabelText("Description"), "typed");
  expect(within(dialog).queryByText(/Your sign-in has ended/)).toBeNull();
  end();
  expect(await within(dialog).findByText(/Your sign-in has ended/)).toBeDefined();
  expect(within(dialog).getByLabelText<HTMLInputElement>("Description").value).toBe("typed");
});

test("nothing closes a dialog while its change runs", async () => {
  const { onClose } = shown({ busy: true });
  await userEvent.keyboard("{Escape}");
  await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
  expect(onClose).not.toHaveBeenCalled();
  cleanup();
  const idle = shown();
  await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
  expect(idle.onClose).toHaveBeenCalledTimes(1);
});
