import { create } from "@bufbuild/protobuf";
import { TransportProvider } from "@connectrpc/connect-query";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { CallerSchema, MethodPermission_Access as Access, SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { ActionButton } from "./action";

const REASON = "You may not delete synced secrets. Grant the verb delete.";

afterEach(cleanup);

/** A button in front of a service that answers so to GetCaller; `unless` is a reason of the screen's own. */
function show(access: Access | "unimplemented", unless?: string) {
  const onClick = vi.fn();
  const getCaller = vi.fn(() => {
    if (access === "unimplemented") {
      throw new ConnectError("no such method", Code.Unimplemented);
    }
    return create(CallerSchema, { permissions: [{ method: "DeleteSyncedSecret", access, message: REASON }] });
  });
  const transport = createRouterTransport(({ service }) => service(SecretService, { getCaller }));
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <FluentProvider theme={webLightTheme}>
      <TransportProvider transport={transport}>
        <QueryClientProvider client={queries}>
          <ActionButton method="DeleteSyncedSecret" resource="syncedSecrets/a" unless={unless} onClick={onClick}>
            Delete
          </ActionButton>
        </QueryClientProvider>
      </TransportProvider>
    </FluentProvider>,
  );
  return { onClick, asked: () => waitFor(() => expect(getCaller).toHaveBeenCalled()) };
}

const button = () => screen.getByRole("button", { name: "Delete" });

test("who may not do it finds the button greyed, by keyboard too, with the reason", async () => {
  const { onClick } = show(Access.DENIED);
  await waitFor(() => expect(button().getAttribute("aria-disabled")).toBe("true"));
  expect(button().hasAttribute("disabled")).toBe(false);
  const user = userEvent.setup();
  await user.tab();
  expect(document.activeElement).toBe(button());
  expect((await screen.findByText(REASON)).getAttribute("role")).toBe("tooltip");
  await user.keyboard("{Enter} ");
  await user.click(button());
  expect(onClick).not.toHaveBeenCalled();
});

test.each([Access.ALLOWED, Access.NOT_ALL_NAMES, "unimplemented"] as const)("access %s: the service decides when it is called", async (access) => {
  const { onClick, asked } = show(access);
  await asked();
  await userEvent.click(button());
  expect(button().getAttribute("aria-disabled")).not.toBe("true");
  expect(onClick).toHaveBeenCalledTimes(1);
});

test("a reason of the screen's own greys it as well", async () => {
  const { onClick } = show(Access.ALLOWED, "Nothing is selected.");
  expect(button().getAttribute("aria-disabled")).toBe("true");
  await userEvent.click(button());
  expect(onClick).not.toHaveBeenCalled();
});
