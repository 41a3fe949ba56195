/** The secrets in Azure Key Vault. */
import { Button, makeStyles, SearchBox, Spinner, Switch, Text, tokens } from "@fluentui/react-components";
import { AddRegular, ArrowClockwiseRegular, ArrowSyncRegular, HistoryRegular } from "@fluentui/react-icons";
import { idOf, type VaultSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState, type ReactNode } from "react";

import { useLiveSecrets, useVaultSecrets } from "../../api/hooks";
import type { VaultSearch } from "../../app/search";
import { useSettled } from "../../references/vault-secret-name";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { Empty, Loading, Page } from "../../ui/page";
import { DataTable } from "../../ui/table";
import { Time } from "../../ui/time";
import { count } from "../../ui/words";
import { NewVaultSecret } from "./new-vault-secret";
import { RecoverDialog } from "./recover";
import { COLUMNS, type VaultRow } from "./vault-columns";
import { VaultProblem } from "./vault-problem";
import { syncedByOf, syncersOf } from "./who";

/** How long nobody types before the service is asked. */
const PAUSE_MS = 250;

const useStyles = makeStyles({
  line: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalM },
  search: { flexGrow: 1, maxWidth: "30rem", minWidth: "12rem" },
  muted: { color: tokens.colorNeutralForeground3 },
});

export function Vault(): ReactNode {
  const [open, setOpen] = useState<"new" | "recover">();
  const { typed, setTyped, search, show } = useVaultSearch();
  return (
    <Page
      title="Key Vault"
      subtitle="The secrets in Azure Key Vault, without their values"
      filling
      actions={
        <>
          <ActionButton appearance="primary" icon={<AddRegular />} method="CreateVaultSecret" onClick={() => setOpen("new")}>
            New secret
          </ActionButton>
          <ActionButton icon={<HistoryRegular />} method="RecoverVaultSecret" onClick={() => setOpen("recover")}>
            Recover a deleted secret
          </ActionButton>
        </>
      }
    >
      <Filters typed={typed} onType={setTyped} search={search} onShow={show} />
      <Found search={search} onShow={show} />
      {open === "new" && <NewVaultSecret onClose={() => setOpen(undefined)} />}
      {open === "recover" && <RecoverDialog onClose={() => setOpen(undefined)} />}
    </Page>
  );
}

type Show = (change: { [K in keyof VaultSearch]?: VaultSearch[K] | undefined }) => void;

/** What is looked for: the address follows what is typed once nobody types. */
function useVaultSearch() {
  const search = useSearch({ from: "/vault" });
  const navigate = useNavigate({ from: "/vault" });
  const [typed, setTyped] = useState(search.search ?? "");
  const settled = useSettled(typed.trim(), PAUSE_MS);
  const show: Show = (change) => {
    void navigate({ search: (before) => ({ ...before, ...change }) as VaultSearch, replace: true });
  };
  useEffect(() => {
    void navigate({ search: (before) => withSearch(before, settled), replace: true });
  }, [settled, navigate]);
  return { typed, setTyped, search, show };
}

function withSearch({ unsynced, sort }: VaultSearch, search: string): VaultSearch {
  return { ...(search !== "" && { search }), ...(unsynced && { unsynced }), ...(sort !== undefined && { sort }) };
}

interface FiltersProps {
  readonly typed: string;
  readonly onType: (typed: string) => void;
  readonly search: VaultSearch;
  readonly onShow: Show;
}

function Filters({ typed, onType, search, onShow }: FiltersProps): ReactNode {
  const styles = useStyles();
  const { search: nameContains = "", unsynced = false } = search;
  const words = ["vault", "list", ...(nameContains === "" ? [] : ["--contains", nameContains]), ...(unsynced ? ["--unsynced"] : [])];
  return (
    <div className={styles.line}>
      <SearchBox
        className={styles.search}
        aria-label="Search vault secrets"
        placeholder="Part of a name"
        value={typed}
        onChange={(_, { value }) => onType(value)}
      />
      <Switch
        label="Not synced yet"
        checked={unsynced}
        onChange={(_, { checked }) => onShow({ unsynced: checked ? true : undefined })}
      />
      <CommandsButton method={SecretService.method.listVaultSecrets} request={{ nameContains, unsyncedOnly: unsynced }} words={words} />
    </div>
  );
}

/** What the vault has of it. */
function Found({ search, onShow }: { search: VaultSearch; onShow: Show }): ReactNode {
  const { search: nameContains = "", unsynced = false } = search;
  const query = useVaultSecrets({ nameContains, unsyncedOnly: unsynced });
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const rows = useRows(data?.pages.flatMap(({ vaultSecrets }) => vaultSecrets));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const retry = (): void => void (query.isFetchNextPageError ? fetchNextPage() : refetch());
  if (data === undefined) {
    return error === null ? <Loading what="what the vault has" /> : <VaultProblem error={error} title="The vault’s secrets can’t be listed." onRetry={retry} />;
  }
  const more = hasNextPage && !isFetchingNextPage && error === null ? () => void fetchNextPage() : undefined;
  return (
    <>
      {error !== null && <VaultProblem error={error} title="The vault’s secrets can’t be listed again; these were there before." onRetry={retry} />}
      <Status query={query} loaded={rows.length} sort={search.sort} />
      {selected.size > 0 && <Selection selected={selected} onClear={() => setSelected(new Set())} />}
      <DataTable
        label="Secrets in Azure Key Vault"
        rows={rows}
        columns={COLUMNS}
        idOf={({ secret }) => secret.name}
        nameOf={({ secret }) => idOf(secret.name)}
        sort={search.sort ?? ""}
        onSort={(sort) => onShow({ sort })}
        selected={selected}
        onSelect={setSelected}
        {...(more && { onEnd: more })}
        empty={<Nothing search={nameContains} unsynced={unsynced} isAll={!hasNextPage} />}
      />
    </>
  );
}

function useRows(secrets: readonly VaultSecret[] | undefined): readonly VaultRow[] {
  const live = useLiveSecrets();
  const syncedBy = useMemo(() => syncedByOf(live.secrets), [live.secrets]);
  return (secrets ?? []).map((secret) => ({ secret, syncers: syncersOf(secret, syncedBy, live) }));
}

interface StatusProps {
  readonly query: ReturnType<typeof useVaultSecrets>;
  readonly loaded: number;
  readonly sort: string | undefined;
}

/** How much of it is here, and since when. */
function Status({ query, loaded, sort }: StatusProps): ReactNode {
  const styles = useStyles();
  const { hasNextPage, isFetching, isFetchingNextPage, dataUpdatedAt, error, refetch } = query;
  const [all, setAll] = useLoadAll(query);
  const isPart = hasNextPage && sort !== undefined && sort !== "";
  return (
    <div className={styles.line}>
      <Text role="status">
        {hasNextPage ? `${count(loaded, "secret")} so far; there are more` : count(loaded, "secret")}
        {isPart && ". Only these are sorted: what is not loaded yet may belong before them"}.
      </Text>
      {hasNextPage && (
        <Button size="small" disabledFocusable={all} onClick={() => setAll(true)}>
          {all && error === null ? "Loading all…" : "Load all"}
        </Button>
      )}
      {isFetchingNextPage && <Spinner size="extra-tiny" aria-label="Loading more" />}
      <Text className={styles.muted}>
        As of <Time value={new Date(dataUpdatedAt)} />
      </Text>
      <Button
        size="small"
        appearance="subtle"
        icon={isFetching ? <Spinner size="extra-tiny" /> : <ArrowClockwiseRegular />}
        onClick={() => void refetch()}
      >
        Look again
      </Button>
    </div>
  );
}

/** Page after page, until there are no more or something is in the way. */
function useLoadAll({ hasNextPage, isFetching, fetchNextPage, error }: StatusProps["query"]) {
  const [all, setAll] = useState(false);
  useEffect(() => {
    if (all && hasNextPage && !isFetching && error === null) {
      void fetchNextPage();
    }
  }, [all, hasNextPage, isFetching, error, fetchNextPage]);
  return [all && hasNextPage && error === null, setAll] as const;
}

/** What can be done with several. */
function Selection({ selected, onClear }: { selected: ReadonlySet<string>; onClear: () => void }): ReactNode {
  const styles = useStyles();
  const navigate = useNavigate();
  const sync = (): void => void navigate({ to: "/new", search: { vaultSecret: [...selected].map((name) => idOf(name)) } });
  return (
    <div className={styles.line}>
      <Text weight="semibold">{selected.size} selected</Text>
      <ActionButton appearance="primary" size="small" icon={<ArrowSyncRegular />} method="CreateSyncedSecret" onClick={sync}>
        Sync as one synced secret
      </ActionButton>
      <Button size="small" appearance="subtle" onClick={onClear}>
        Clear the selection
      </Button>
    </div>
  );
}

function Nothing({ search, unsynced, isAll }: { search: string; unsynced: boolean; isAll: boolean }): ReactNode {
  if (!isAll) {
    return <Loading what="more" />;
  }
  const what = unsynced ? "nothing that isn’t synced" : "nothing";
  return search === "" && !unsynced ? (
    <Empty title="The vault has no secrets.">“New secret” makes the first one.</Empty>
  ) : (
    <Empty title={search === "" ? `The vault has ${what}.` : `The vault has ${what} with “${search}” in its name.`}>
      A deleted secret is not listed; “Recover a deleted secret” brings it back by its name.
    </Empty>
  );
}
