import { create as message } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { SecretServiceClient, State } from "@iotoperations/secret-service-client";
import { SecretService, SyncedSecretSchema, type CreateSyncedSecretRequest, type SyncedSecret } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, Outlet, RouterProvider } from "@tanstack/react-router";
import { act, cleanup, configure, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import * as connection from "../../api/connection";
import { LiveSecrets } from "../../api/live";
import { createSearch } from "../../app/search";
import { SignedInContext } from "../../app/signed-in";
import { Session } from "../../session/session";
import { NotifyProvider } from "../../ui/notify";
import { Create } from "./create";

// The whole screen is drawn several times: a busy machine needs a while.
configure({ asyncUtilTimeout: 6_000 });
afterEach(cleanup);
vi.setConfig({ testTimeout: 15_000 });

const PUMP = message(SyncedSecretSchema, { name: "syncedSecrets/pump", uid: "own", generation: 1n, state: State.PENDING });

/** What the service does when it is asked to create, and when it is asked for the synced secret. */
interface Behaviour {
  readonly create: (request: CreateSyncedSecretRequest) => Promise<SyncedSecret>;
  readonly get?: () => SyncedSecret;
}

/** New, with the vault secrets pump-a and pump-b as references, so that the name pump is proposed. */
async function show({ create, get = () => fail(Code.NotFound) }: Behaviour) {
  const created: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(SecretService, {
      listSecretPurposes: () => ({}),
      createSyncedSecret: (request) => {
        if (request.validateOnly) {
          return PUMP;
        }
        created.push(request.requestId);
        return create(request);
      },
      getSyncedSecret: get,
    }),
  );
  const client = new SecretServiceClient(transport, { target: "test", timeoutMs: 500 });
  vi.spyOn(connection, "useClient").mockReturnValue(client);
  vi.spyOn(connection, "useLive").mockReturnValue(new LiveSecrets(client));
  const root = createRootRoute({ component: Outlet });
  const children = [
    createRoute({ getParentRoute: () => root, path: "/new", component: Create, validateSearch: createSearch }),
    createRoute({ getParentRoute: () => root, path: "/secrets", component: () => "the list" }),
    createRoute({ getParentRoute: () => root, path: "/secrets/$id", component: () => "the secret" }),
  ];
  const history = createMemoryHistory({ initialEntries: [`/new?purpose=-&vaultSecret=${JSON.stringify(["pump-a", "pump-b"])}`] });
  const router = createRouter({ routeTree: root.addChildren(children), history });
  render(
    <FluentProvider theme={webLightTheme}>
      <TransportProvider transport={client.transport}>
        <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
          <SignedInContext value={{ session: new Session(), settings: { version: "1", authentication: { kinds: ["token"] } } }}>
            <NotifyProvider>
              <RouterProvider router={router} />
            </NotifyProvider>
          </SignedInContext>
        </QueryClientProvider>
      </TransportProvider>
    </FluentProvider>,
  );
  await screen.findByText("pump-a");
  const press = (name: string): Promise<void> => userEvent.click(screen.getByRole("button", { name }));
  const leave = (): void => act(() => void router.navigate({ to: "/secrets" }));
  return { created, press, leave };
}

function fail(code: Code): never {
  throw new ConnectError("no", code);
}

/** A call that ends when somebody says so. */
function pending() {
  let finish: (secret: SyncedSecret) => void = () => undefined;
  let refuse: (error: unknown) => void = () => undefined;
  const ended = new Promise<SyncedSecret>((resolve, reject) => ([finish, refuse] = [resolve, reject]));
  return { create: () => ended, finish, refuse };
}

test("after a lost answer, nobody says that nothing is there where nobody could look, and the same request goes on", async () => {
  let isAway = true;
  const { created, press } = await show({
    create: () => (isAway ? Promise.reject(new ConnectError("lost", Code.DeadlineExceeded)) : Promise.resolve(PUMP)),
    get: () => (isAway ? fail(Code.PermissionDenied) : PUMP),
  });
  await press("Create");
  expect(await screen.findByText("It is not known how it ended.")).toBeDefined();
  expect(screen.getByText(/Whether the synced secret pump is recorded is unknown\..*The service may do the rest yet\..*nothing is done twice/)).toBeDefined();
  isAway = false;
  await press("Create");
  expect(await screen.findByRole("heading", { name: "Created: pump" })).toBeDefined();
  expect(created).toHaveLength(2);
  expect(new Set(created).size).toBe(1);
});

test("a name that somebody else took meanwhile is taken, and nothing of it counts as left behind", async () => {
  const { press } = await show({ create: () => fail(Code.AlreadyExists), get: () => PUMP });
  await press("Create");
  expect(await screen.findByText("It was not created.")).toBeDefined();
  expect(screen.getByText(/The name pump is somebody else's/).textContent).not.toContain("goes on with the same request");
  expect(screen.getByRole("button", { name: "Check only" }).getAttribute("aria-disabled")).not.toBe("true");
});

test("while it is created, nothing of it can be changed, and whoever leaves is told that it goes on, and how it ended", async () => {
  const { create, refuse } = pending();
  const { press, leave } = await show({ create });
  await press("Create");
  await screen.findByText(/^Storing it/);
  await userEvent.type(screen.getByLabelText(/^Synced secret name/), "-2");
  expect(screen.getByLabelText<HTMLInputElement>(/^Synced secret name/).value).toBe("pump");
  leave();
  expect(await screen.findByText("Leave while it is being created?")).toBeDefined();
  // Without a real focus, Fluent may take the dialog for one in the background.
  await userEvent.click(screen.getByRole("button", { name: "Leave", hidden: true }));
  expect(await screen.findByText("the list")).toBeDefined();
  refuse(new ConnectError("no", Code.FailedPrecondition));
  expect(await screen.findByText("Creating pump failed.")).toBeDefined();
});

test("where nobody may watch, the service is asked, and who can't be asked either says so without a made-up time", async () => {
  const answers: (() => SyncedSecret)[] = [() => fail(Code.PermissionDenied)];
  const { press } = await show({ create: () => Promise.resolve(PUMP), get: () => answers[0]?.() ?? PUMP });
  await press("Create");
  expect(await screen.findByText(/Whether it is at the edge is unknown\./)).toBeDefined();
  expect(screen.getByText(/Nothing was seen of it since it was created/)).toBeDefined();
  expect(screen.queryByText(/years/)).toBeNull();
  answers[0] = () => fail(Code.NotFound);
  expect(await screen.findByText(/It is not there any more/)).toBeDefined();
});

test("what is removed while files are read stays removed, and the files are added", async () => {
  const { press } = await show({ create: () => Promise.resolve(PUMP) });
  let finish: () => void = () => undefined;
  const file = new File(["x"], "ca.pem");
  vi.spyOn(file, "arrayBuffer").mockReturnValue(new Promise((resolve) => (finish = () => resolve(new TextEncoder().encode("x").buffer))));
  await userEvent.upload(screen.getByLabelText("Files for new secrets"), file);
  await press("Remove pump-a");
  finish();
  expect(await screen.findByRole("button", { name: "Remove ca.pem" })).toBeDefined();
  await waitFor(() => expect(screen.queryByRole("button", { name: "Remove pump-a" })).toBeNull());
  expect(screen.getByRole("button", { name: "Remove pump-b" })).toBeDefined();
});
