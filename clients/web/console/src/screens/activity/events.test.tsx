import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { ListAuditEventsResponseSchema, SecretService, type ListAuditEventsResponse } from "@iotoperations/secret-service-client/v1";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { useEvents } from "./events";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const page = (names: readonly string[], nextPageToken = ""): ListAuditEventsResponse =>
  create(ListAuditEventsResponseSchema, { auditEvents: names.map((name) => ({ name })), nextPageToken });

test("while newer events are asked for, what is shown says how old it is and that older ones follow", async () => {
  let answer: () => Promise<ListAuditEventsResponse> = () => Promise.resolve(page(["2", "1"], "older"));
  const transport = createRouterTransport(({ service }) => {
    service(SecretService, { listAuditEvents: () => answer() });
  });
  const queries = new QueryClient();
  const around = ({ children }: { children: ReactNode }): ReactNode => (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </TransportProvider>
  );
  vi.useFakeTimers({ now: 1_000_000, toFake: ["Date"] });
  const search = {};
  const { result } = renderHook(() => useEvents(search), { wrapper: around });
  await waitFor(() => expect(result.current.events).toHaveLength(2));
  expect(result.current).toMatchObject({ begun: 1_000_000, hasOlder: true });

  let end: (answer: ListAuditEventsResponse) => void = () => undefined;
  const slow = new Promise<ListAuditEventsResponse>((resolve) => (end = resolve));
  answer = () => slow;
  vi.setSystemTime(2_000_000);
  act(() => result.current.beginAgain());
  expect(result.current.pages.isPlaceholderData).toBe(true);
  expect(result.current).toMatchObject({ begun: 1_000_000, hasOlder: true, newer: { number: 0 } });

  end(page(["3", "2", "1"]));
  await waitFor(() => expect(result.current.events).toHaveLength(3));
  expect(result.current).toMatchObject({ begun: 2_000_000, hasOlder: false });
});
