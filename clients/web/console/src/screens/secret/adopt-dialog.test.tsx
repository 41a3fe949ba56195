import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { Code, UnavailableError } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { SignedInContext } from "../../app/signed-in";
import { Session } from "../../session/session";
import { AdoptDialog } from "./adopt-dialog";

interface Options {
  readonly validateOnly?: boolean;
  readonly requestId?: string;
}

const { adoptSyncedSecret } = vi.hoisted(() => ({ adoptSyncedSecret: vi.fn<(name: string, options: Options) => Promise<unknown>>() }));
vi.mock("../../api/connection", () => ({ useClient: () => ({ adoptSyncedSecret }), useLive: vi.fn() }));

beforeEach(() => void adoptSyncedSecret.mockReset());
afterEach(cleanup);

const button = (name: string) => screen.getByRole("button", { name });

test("an adoption whose answer was lost is repeated as the same request, and nothing says that nothing is changed", async () => {
  const onAdopted = vi.fn();
  const session = new Session();
  session.signIn({ kind: "token", token: "t" }, "anna");
  adoptSyncedSecret.mockResolvedValue({});
  render(
    <TransportProvider transport={createRouterTransport(({ service }) => service(SecretService, {}))}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <AdoptDialog name="syncedSecrets/found" references={[]} onClose={vi.fn()} onAdopted={onAdopted} />
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
  await screen.findByText(/Nothing is changed yet/);
  adoptSyncedSecret.mockResolvedValueOnce({}).mockRejectedValueOnce(new UnavailableError({ message: "no answer", code: Code.Unavailable }));
  await userEvent.click(button("Adopt"));
  await screen.findByText("Whether it was adopted is not known.");
  expect(screen.queryByText(/Nothing is changed yet/)).toBeNull();
  expect(button("Check").getAttribute("aria-disabled")).toBe("true");
  await userEvent.click(button("Adopt again"));
  await waitFor(() => expect(onAdopted).toHaveBeenCalledTimes(1));
  const calls = adoptSyncedSecret.mock.calls.map(([, options]) => options);
  expect(calls.map(({ validateOnly }) => validateOnly === true)).toEqual([true, true, false, false]);
  expect(calls[3]?.requestId).toBe(calls[2]?.requestId);
});
