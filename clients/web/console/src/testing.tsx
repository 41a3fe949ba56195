/** Parts of the page for tests, in front of a service that answers as the test says. */
import { TransportProvider } from "@connectrpc/connect-query";
import { createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { SecretServiceClient, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";

import { ConnectionContext, newQueryClient } from "./api/connection";
import { LiveSecrets, type LiveSnapshot } from "./api/live";
import { SignedInContext } from "./app/signed-in";
import { Session } from "./session/session";
import { NotifyContext, type Notify } from "./ui/notify";

/** What the page would know of these synced secrets. */
export function snapshotOf(secrets: readonly SyncedSecret[], status: LiveSnapshot["status"] = "live"): LiveSnapshot {
  const heard = status === "live" || status === "interrupted" ? Date.now() : 0;
  return { status, secrets, byName: new Map(secrets.map((secret) => [secret.name, secret])), error: undefined, heard };
}

/** Renders a part; `told` is what it tells in the corner of the page. */
export function show(part: ReactNode, service: Partial<ServiceImpl<typeof SecretService>>, snapshot: LiveSnapshot = snapshotOf([])) {
  const client = new SecretServiceClient(createRouterTransport((router) => router.service(SecretService, service)), { target: "test" });
  const live = Object.assign(new LiveSecrets(client), { snapshot: () => snapshot });
  const told = { done: vi.fn<Notify["done"]>(), failed: vi.fn<Notify["failed"]>() };
  const session = new Session();
  session.signIn({ kind: "none" });
  const queries = newQueryClient();
  const around = (inner: ReactNode): ReactNode => (
    <ConnectionContext value={{ client, live }}>
      <TransportProvider transport={client.transport}>
        <QueryClientProvider client={queries}>
          <SignedInContext value={{ session, settings: { version: "1", authentication: { kinds: [] } } }}>
            <NotifyContext value={told}>
              <FluentProvider theme={webLightTheme}>{inner}</FluentProvider>
            </NotifyContext>
          </SignedInContext>
        </QueryClientProvider>
      </TransportProvider>
    </ConnectionContext>
  );
  const { rerender, unmount } = render(around(part));
  return { told, unmount, again: (other: ReactNode) => rerender(around(other)) };
}
