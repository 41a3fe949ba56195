import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";

import { SignedInContext } from "../app/signed-in";
import { Session } from "../session/session";
import { VaultPickerDialog } from "./vault-picker";

afterEach(cleanup);

/** The dialog in front of a vault with so many secrets on its only page; while it `isAway`, it can't be looked at. */
async function show(secrets: number) {
  const vault = { isAway: false, calls: 0 };
  const vaultSecrets = Array.from({ length: secrets }, (_, index) => ({ name: `vaultSecrets/s-${index}` }));
  const transport = createRouterTransport(({ service }) =>
    service(SecretService, {
      listVaultSecrets: () => {
        vault.calls++;
        if (vault.isAway) {
          throw new ConnectError("away", Code.Unavailable);
        }
        return { vaultSecrets };
      },
      getVault: () => ({}),
    }),
  );
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>
        <SignedInContext value={{ session: new Session(), settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <FluentProvider theme={webLightTheme}>
            <VaultPickerDialog open onClose={() => undefined} onPick={() => undefined} />
          </FluentProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
  await screen.findByText(secrets === 0 ? "There is nothing in the vault." : /^3 secrets/);
  return { vault, lookAgain: () => act(() => queries.invalidateQueries()) };
}

test.each([3, 0])("where a later look at %i secrets failed, trying again looks again", async (secrets) => {
  const { vault, lookAgain } = await show(secrets);
  vault.isAway = true;
  await lookAgain();
  await screen.findByText(/away/);
  expect(screen.queryByText("There is nothing in the vault.")).toBeNull();
  const { calls } = vault;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(vault.calls).toBe(calls + 1));
  expect(await screen.findByText(/away/)).toBeDefined();
  vault.isAway = false;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(screen.queryByText(/away/)).toBeNull());
});
