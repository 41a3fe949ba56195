/** The way to the service: one client for the page, and the same as a transport for queries. */
import { SecretServiceClient } from "@iotoperations/secret-service-client";
import { TransportProvider } from "@connectrpc/connect-query";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createContext, use, useEffect, useMemo, type ReactNode } from "react";

import type { Session } from "../session/session";
import { showing } from "./credentials";
import { LiveSecrets } from "./live";

interface Connection {
  readonly client: SecretServiceClient;
  readonly live: LiveSecrets;
}

/** How long the page may be hidden before its watch ends. */
const HIDDEN_MS = 10_000;

/** For `ConnectionProvider`, and what tests put in its place. */
export const ConnectionContext = createContext<Connection | undefined>(undefined);

/** Connects all that is below as whoever began this page; what is known is theirs alone. */
export function ConnectionProvider({ session, page, children }: { session: Session; page: number; children: ReactNode }): ReactNode {
  const [connection, queries] = useMemo(() => {
    const client = clientOf(session, page);
    return [{ client, live: new LiveSecrets(client) }, newQueryClient()] as const;
  }, [session, page]);
  useEffect(() => watchWhileVisible(connection.live), [connection]);
  useEffect(
    () =>
      session.subscribe(() => {
        const now = session.state();
        // The same person has signed in again: whatever failed without credentials is asked for once more.
        if (now.status === "signed-in" && now.page === page) {
          void queries.invalidateQueries();
        }
      }),
    [session, page, queries],
  );
  return (
    <ConnectionContext value={connection}>
      <TransportProvider transport={connection.client.transport}>
        <QueryClientProvider client={queries}>{children}</QueryClientProvider>
      </TransportProvider>
    </ConnectionContext>
  );
}

/** The client, for what changes something. */
export function useClient(): SecretServiceClient {
  return useConnection().client;
}

/** What is watched. */
export function useLive(): LiveSecrets {
  return useConnection().live;
}

function useConnection(): Connection {
  const connection = use(ConnectionContext);
  if (connection === undefined) {
    throw new Error("nothing connects this part of the page");
  }
  return connection;
}

/**
 * Watches as long as somebody can see the page, and goes on from there when it is seen again. Over HTTP/1.1 a browser has six
 * connections to a host, and each watch keeps one: a seventh tab would get no answer at all.
 */
function watchWhileVisible(live: LiveSecrets): () => void {
  let leaving: ReturnType<typeof setTimeout> | undefined;
  let isWatching = true;
  const look = (): void => {
    clearTimeout(leaving);
    if (document.visibilityState === "hidden") {
      leaving = setTimeout(() => {
        isWatching = false;
        live.stop();
      }, HIDDEN_MS);
    } else if (!isWatching) {
      isWatching = true;
      live.start();
    }
  };
  live.start();
  look();
  document.addEventListener("visibilitychange", look);
  return () => {
    document.removeEventListener("visibilitychange", look);
    clearTimeout(leaving);
    live.stop();
  };
}

/** The client of a page. */
function clientOf(session: Session, page: number): SecretServiceClient {
  const target = window.location.origin;
  const interceptors = [showing(session, page)];
  return new SecretServiceClient(createGrpcWebTransport({ baseUrl: target, interceptors }), { target });
}

/** The client itself tries again what may work in a moment, so queries don't. */
export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { retry: false, staleTime: 5_000, networkMode: "always" },
      mutations: { retry: false, networkMode: "always" },
    },
  });
}
