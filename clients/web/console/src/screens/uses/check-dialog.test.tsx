import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { Code, InvalidRequestError, UnavailableError, type CheckedResource, type SecretValue } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { PreferencesProvider } from "../../app/preferences";
import { SignedInContext } from "../../app/signed-in";
import { Session } from "../../session/session";
import { CheckDialog } from "./check-dialog";

const checkResource = vi.hoisted(() => vi.fn<(manifest: SecretValue) => Promise<CheckedResource[]>>());
vi.mock("../../api/connection", () => ({ useClient: () => ({ checkResource }) }));

afterEach(cleanup);

function show(): void {
  render(
    <TransportProvider transport={createRouterTransport(({ service }) => service(SecretService, {}))}>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <SignedInContext value={{ session: new Session(), settings: { version: "1", authentication: { kinds: ["token"] } } }}>
          <PreferencesProvider>
            <FluentProvider theme={webLightTheme}>
              <CheckDialog onClose={() => undefined} />
            </FluentProvider>
          </PreferencesProvider>
        </SignedInContext>
      </QueryClientProvider>
    </TransportProvider>,
  );
}

const field = (): HTMLTextAreaElement => screen.getByLabelText(/^Manifest/);
const write = (value: string): boolean => fireEvent.change(field(), { target: { value } });
const press = (name: string): boolean => fireEvent.click(screen.getByText(name));

test("after a typing error the manifest is still there to be corrected, and what can't help is not offered", async () => {
  checkResource.mockRejectedValueOnce(new InvalidRequestError({ message: "line 2 is not YAML", code: Code.InvalidArgument }));
  show();
  write("kind: Device");
  press("Check");
  expect(await screen.findByText("line 2 is not YAML")).toBeDefined();
  expect(field().value).toBe("kind: Device");
  expect(screen.queryByText("Try again")).toBeNull();

  checkResource.mockResolvedValueOnce([]);
  press("Check");
  expect(await screen.findByText("The manifest has no resource.")).toBeDefined();
  press("Check another");
  expect(field().value).toBe("");
});

test("what may pass later can be tried again, and a check that is stopped leaves the manifest", async () => {
  checkResource.mockRejectedValueOnce(new UnavailableError({ message: "The cluster can't be reached.", code: Code.Unavailable }));
  show();
  write("kind: Device");
  press("Check");
  checkResource.mockReturnValueOnce(new Promise(() => undefined));
  fireEvent.click(await screen.findByText("Try again"));
  expect(checkResource.mock.lastCall?.[0].reveal()).toBe("kind: Device");
  press("Stop");
  expect(field().value).toBe("kind: Device");
});
