/** What the screens ask the service for. */
import { idOf, SecretServiceError, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Code } from "@iotoperations/secret-service-client";
import {
  MethodPermission_Access as Access,
  SecretService,
  SyncedSecretView,
  type Caller,
  type ListVaultSecretVersionsResponse,
} from "@iotoperations/secret-service-client/v1";
import { useInfiniteQuery, useQuery } from "@connectrpc/connect-query";
import { useQuery as usePlainQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useCallback, useEffect, useSyncExternalStore } from "react";

import { useClient, useLive } from "./connection";
import type { LiveSnapshot } from "./live";
import { newestFirst } from "./versions";

const rpc = SecretService.method;
/** How old what is not watched may get while somebody looks at it. */
const LOOK_AGAIN_MS = 30_000;
const PAGE = 200;
/** The most that a list may ask for at once. */
const LARGEST_PAGE = 1_000;

/** All synced secrets, as they are now. */
export function useLiveSecrets(): LiveSnapshot {
  const live = useLive();
  return useSyncExternalStore(live.subscribe, live.snapshot);
}

/** A synced secret with what uses it; asked for again when the watch tells that it changed. */
export function useSyncedSecret(id: string) {
  const name = `syncedSecrets/${id}`;
  const { byName } = useLiveSecrets();
  const seen = byName.get(name);
  const query = useQuery(rpc.getSyncedSecret, { name, view: SyncedSecretView.FULL }, { refetchInterval: LOOK_AGAIN_MS });
  const { refetch } = query;
  useEffect(() => {
    if (seen !== undefined) {
      void refetch();
    }
  }, [seen, refetch]);
  return query;
}

/** The vault and what a look at it found. */
export function useVault() {
  return useQuery(rpc.getVault, { name: "vault" }, { refetchInterval: LOOK_AGAIN_MS });
}

/** The secrets in the vault, page by page. */
export function useVaultSecrets(filter: { nameContains?: string; unsyncedOnly?: boolean } = {}) {
  const { nameContains = "", unsyncedOnly = false } = filter;
  return useInfiniteQuery(
    rpc.listVaultSecrets,
    { nameContains, unsyncedOnly, pageSize: PAGE, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
}

/** A secret in the vault, without its value. */
export function useVaultSecret(id: string) {
  return useQuery(rpc.getVaultSecret, { name: `vaultSecrets/${id}` });
}

/** The versions of a secret in the vault, page by page; of those that were read, the newest first. Nothing watches the vault. */
export function useVaultSecretVersions(id: string, enabled = true) {
  return useInfiniteQuery(
    rpc.listVaultSecretVersions,
    { parent: `vaultSecrets/${id}`, pageSize: PAGE, pageToken: "" },
    {
      pageParamKey: "pageToken",
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      select: inOrder,
      enabled,
      refetchInterval: LOOK_AGAIN_MS,
    },
  );
}

function inOrder<Data extends { pages: ListVaultSecretVersionsResponse[] }>(data: Data): Data {
  return { ...data, pages: newestFirst(data.pages) };
}

/** What a synced secret can be for. */
export function usePurposes() {
  return useQuery(rpc.listSecretPurposes, { pageSize: LARGEST_PAGE }, { staleTime: Infinity });
}

interface FoundUsages {
  readonly usages: SecretUsage[];
  /** What the service can't read: usages by it may be missing, or are as they were. */
  readonly unread: readonly string[];
}

function useFoundUsages<Data>(select: (found: FoundUsages) => Data): UseQueryResult<Data> {
  const client = useClient();
  return usePlainQuery({
    queryKey: ["usages"],
    queryFn: async ({ signal }): Promise<FoundUsages> => {
      const pager = client.listSecretUsages("syncedSecrets/-", { pageSize: LARGEST_PAGE, signal });
      const [usages, unread] = [[] as SecretUsage[], new Set<string>()];
      for await (const { items, unreachable = [] } of pager.pages()) {
        usages.push(...items);
        unreachable.forEach((kind) => unread.add(kind));
      }
      return { usages, unread: [...unread].sort() };
    },
    refetchInterval: LOOK_AGAIN_MS,
    select,
  });
}

const usagesOf = ({ usages }: FoundUsages): SecretUsage[] => usages;
const unreadOf = ({ unread }: FoundUsages): readonly string[] => unread;

/** Every field of every resource that names a synced secret, also one that isn't there; without those of `useUnreadKinds`. */
export function useUsages(): UseQueryResult<SecretUsage[]> {
  return useFoundUsages(usagesOf);
}

/** The kinds and API groups whose resources the service can't read, so that nobody knows what they use. */
export function useUnreadKinds(): readonly string[] {
  return useFoundUsages(unreadOf).data ?? NONE;
}

const NONE: readonly string[] = [];

/** Asks for everything again that is on the screen: after a change, so that nobody looks at what was before. */
export function useLookAgain(): () => Promise<void> {
  const queries = useQueryClient();
  return useCallback(() => queries.invalidateQueries(), [queries]);
}

// ---- Who is there, and what they may do ----

/** Who the caller is and what they may do: for one resource, or for any. */
export function useCaller(resource = "") {
  return useQuery(rpc.getCaller, { name: "caller", resource }, { staleTime: LOOK_AGAIN_MS, placeholderData: (before) => before });
}

/** Whether the caller may call a method; `unknown` counts as allowed: the service decides when it is called. */
export interface Permitted {
  readonly allowed: boolean;
  /** Why not, and who can mend it; empty if allowed. */
  readonly why: string;
}

const ALLOWED: Permitted = { allowed: true, why: "" };

/** Whether the caller may call a method such as `DeleteSyncedSecret`, for one resource or for any. */
export function usePermission(method: string | undefined, resource = ""): Permitted {
  const { data } = useCaller(resource);
  return method === undefined || data === undefined ? ALLOWED : permitted(data, method);
}

/** What the answer says of a method. Rights for single names only are no reason to grey out what names one later. */
export function permitted(caller: Caller, method: string): Permitted {
  const found = caller.permissions.find((permission) => permission.method === method);
  return found?.access === Access.DENIED ? { allowed: false, why: found.message } : ALLOWED;
}

/** Whether a call failed because the service's release doesn't know the method. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof SecretServiceError && error.code === Code.Unimplemented;
}

/** What names a synced secret in a resource's field: `edp1secrets/username`, or `edp1secrets` for the whole. */
export function textToPaste(secret: SyncedSecret | string, key?: string): string {
  const id = idOf(typeof secret === "string" ? secret : secret.name);
  return key === undefined || key === "" ? id : `${id}/${key}`;
}
