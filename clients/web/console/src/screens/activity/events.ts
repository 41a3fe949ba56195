/** The events that the filter selects: older ones as somebody scrolls, newer ones when somebody asks for them. */
import { useTransport } from "@connectrpc/connect-query";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { auditPage, type AuditFilter, type AuditPage } from "../../api/audit";
import type { AuditSearch } from "../../app/search";
import { useNow } from "../../ui/now";
import { filterOf } from "./span";

const PAGE = 200;
const LOOK_FOR_NEWER_MS = 10_000;

/** A page of the list, which says itself when the list was begun: it may be shown in the place of one that is still asked for. */
interface Page extends AuditPage {
  readonly begun: number;
}

/** A key for what is asked, and when the list of it was begun. */
interface Begun {
  readonly asked: string;
  readonly at: number;
}

export function useEvents(search: AuditSearch) {
  const transport = useTransport();
  const asked = JSON.stringify(search);
  const now = useNow();
  const [begun, setBegun] = useState<Begun>(() => ({ asked, at: Date.now() }));
  if (begun.asked !== asked) {
    // Another filter is another list, which begins now; to say that it is older than it is does no harm.
    setBegun({ asked, at: now.getTime() });
  }
  const filter = useMemo(() => filterOf(JSON.parse(begun.asked) as AuditSearch, begun.at), [begun]);
  const pages = useInfiniteQuery({
    queryKey: ["audit", begun.asked, begun.at],
    queryFn: async ({ pageParam, signal }): Promise<Page> => ({
      ...(await auditPage(transport, filter, { pageSize: PAGE, pageToken: pageParam, signal })),
      begun: begun.at,
    }),
    initialPageParam: "",
    getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
    // What somebody reads doesn't move by itself.
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    // Until what is newer has come, what was there before stays.
    placeholderData: (before, query) => (query?.queryKey[1] === begun.asked ? before : undefined),
  });
  const events = useMemo(() => pages.data?.pages.flatMap((page) => page.events) ?? [], [pages.data]);
  const sent = useMemo(() => pages.data?.pages.reduce((sum, page) => sum + page.sent, 0) ?? 0, [pages.data]);
  const newer = useNewer(begun, filter, pages.isSuccess && !pages.isPlaceholderData, events[0]?.name);
  const beginAgain = (): void => setBegun({ asked, at: Date.now() });
  return {
    ...{ filter, pages, events, newer, beginAgain, sent },
    /** When the list that is shown was begun: while a newer one is asked for, it is the one before. */
    begun: pages.data?.pages[0]?.begun ?? begun.at,
    /** Whether there are older ones than those that are shown. */
    hasOlder: (pages.data?.pages.at(-1)?.nextPageToken ?? "") !== "",
    leftOut: sent - events.length,
  };
}

/** How many events there are by now that the list doesn't have. */
function useNewer(begun: Begun, filter: AuditFilter, isLoaded: boolean, newest: string | undefined) {
  const transport = useTransport();
  const query = useQuery({
    queryKey: ["newer events", begun.asked, begun.at],
    queryFn: ({ signal }) => auditPage(transport, filter, { pageSize: PAGE, signal }),
    enabled: isLoaded && (filter.until === undefined || filter.until.getTime() > begun.at),
    refetchInterval: LOOK_FOR_NEWER_MS,
    staleTime: 0,
  });
  const seen = query.data?.events ?? [];
  const known = seen.findIndex(({ name }) => name === newest);
  return {
    number: known === -1 ? seen.length : known,
    /** Whether there may be more of them. */
    more: known === -1 && query.data?.nextPageToken !== undefined && query.data.nextPageToken !== "",
    lookedAt: query.dataUpdatedAt,
    error: query.error,
    refetch: query.refetch,
  };
}
