/** All synced secrets of the instance, as they are now. */
import { Button, Menu, MenuItem, MenuList, MenuPopover, MenuTrigger } from "@fluentui/react-components";
import { AddRegular, ArrowDownloadRegular } from "@fluentui/react-icons";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useMemo, useState, type ReactNode } from "react";

import { useLive } from "../../api/connection";
import { useLiveSecrets, useUnreadKinds, useUsages } from "../../api/hooks";
import type { LiveSnapshot } from "../../api/live";
import type { SecretsSearch } from "../../app/search";
import { ActionButton } from "../../ui/action";
import { useNow } from "../../ui/now";
import { Empty, Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { save } from "../../ui/save";
import { DataTable } from "../../ui/table";
import { Time } from "../../ui/time";
import { UnreadKinds } from "../../ui/unread";
import { count, grouped } from "../../ui/words";
import { columnsOf } from "./columns";
import { fileNameOf, toCsv, toJson } from "./export";
import { filtered, isNarrowed } from "./filter";
import { Filters } from "./filters";
import { Rows, usersFrom, type SecretRow } from "./rows";
import { selectedOf, selectionOf, type Selection } from "./selection";
import { SelectionBar } from "./selection-bar";

export function Secrets(): ReactNode {
  const live = useLiveSecrets();
  const again = useLive();
  if (live.heard === 0) {
    return (
      <Page title="Secrets">
        {live.status === "failed" ? (
          <Problem error={live.error} title="The synced secrets can't be read." onRetry={() => again.start()} />
        ) : (
          <Loading what="the synced secrets" />
        )}
      </Page>
    );
  }
  return <All live={live} />;
}

function All({ live }: { live: LiveSnapshot }): ReactNode {
  const usages = useUsages();
  const unread = useUnreadKinds();
  const { data, dataUpdatedAt, isError } = usages;
  const users = useMemo(() => usersFrom({ data, dataUpdatedAt, isError, unread }), [data, dataUpdatedAt, isError, unread]);
  const { search, change } = useFilters();
  const now = useNow().getTime();
  const [making] = useState(() => new Rows());
  const rows = useMemo(() => making.of(live.secrets, users), [making, live.secrets, users]);
  // What is typed stands in its field at once; the table may follow a moment later.
  const wanted = useDeferredValue(search);
  const { rows: shown, states } = useMemo(() => filtered(rows, wanted, now), [rows, wanted, now]);
  // Ten thousand rows are sorted in a task of their own: what the watch tells must not hold up whoever scrolls.
  const listed = useDeferredValue(shown);
  const { byName } = live;
  const [selection, setSelection] = useState<Selection>(new Map<string, string>());
  const selected = useMemo(() => selectedOf(selection, byName), [selection, byName]);
  const select = useCallback((names: Iterable<string>) => setSelection(selectionOf(names, byName)), [byName]);
  const names = useMemo(() => new Set(selected.map(({ name }) => name)), [selected]);
  const columns = useMemo(() => columnsOf(now), [now]);
  return (
    <Page title="Secrets" subtitle={<Summary live={live} shown={shown.length} />} actions={<Actions rows={shown} asOf={live.heard} />} filling>
      {usages.isError && (
        <Problem error={usages.error} title="What uses the synced secrets is not known." onRetry={() => void usages.refetch()} />
      )}
      <UnreadKinds />
      <Filters rows={rows} states={states} search={search} onChange={change} />
      <SelectionBar selected={selected} hidden={hiddenOf(names, shown)} onSelect={select} />
      <DataTable
        label="Synced secrets"
        rows={listed}
        columns={columns}
        idOf={nameOf}
        nameOf={idOfRow}
        sort={search.sort ?? "name"}
        onSort={(sort) => change({ sort: sort === "name" ? undefined : sort })}
        selected={names}
        onSelect={select}
        empty={<Nothing search={search} areUsersKnown={users?.isComplete === true} onClear={() => change("clear")} />}
      />
    </Page>
  );
}

/** How many there are, and as of when. */
function Summary({ live, shown }: { live: LiveSnapshot; shown: number }): ReactNode {
  const all = live.secrets.length;
  const number = shown === all ? count(all, "synced secret") : `${grouped(shown)} of ${count(all, "synced secret")}`;
  return (
    <span role="status">
      {number}
      {live.status !== "live" && (
        <>
          , as of <Time value={new Date(live.heard)} />
        </>
      )}
    </span>
  );
}

function Actions({ rows, asOf }: { rows: readonly SecretRow[]; asOf: number }): ReactNode {
  const navigate = useNavigate();
  return (
    <>
      <Menu>
        <MenuTrigger disableButtonEnhancement>
          <Button icon={<ArrowDownloadRegular />} disabledFocusable={rows.length === 0}>
            Export
          </Button>
        </MenuTrigger>
        <MenuPopover>
          <MenuList>
            <MenuItem onClick={() => save(fileNameOf("csv", asOf), "text/csv", toCsv(rows, asOf))}>CSV of what is shown</MenuItem>
            <MenuItem onClick={() => save(fileNameOf("json", asOf), "application/json", toJson(rows, asOf))}>JSON of what is shown</MenuItem>
          </MenuList>
        </MenuPopover>
      </Menu>
      <ActionButton
        method="CreateSyncedSecret"
        appearance="primary"
        icon={<AddRegular />}
        onClick={() => void navigate({ to: "/new" })}
      >
        New
      </ActionButton>
    </>
  );
}

/** Why no row is shown. */
function Nothing({ search, areUsersKnown, onClear }: { search: SecretsSearch; areUsersKnown: boolean; onClear: () => void }): ReactNode {
  if (!isNarrowed(search)) {
    return (
      <Empty title="There are no synced secrets yet.">
        A synced secret holds values of the Key Vault as a Kubernetes Secret at the edge. “New” makes the first one.
      </Empty>
    );
  }
  const clear = <Button onClick={onClear}>Clear filters</Button>;
  if (search.usedBy !== undefined && !areUsersKnown) {
    return (
      <Empty title="What uses them is not known." action={clear}>
        So nothing can be said about this filter.
      </Empty>
    );
  }
  return <Empty title="No synced secret matches the filters." action={clear} />;
}

/** A part of the filters to change, `undefined` for one to drop. */
export type Change = { readonly [K in keyof SecretsSearch]?: SecretsSearch[K] | undefined } | "clear";

/** The filters in the address. Going back leaves the screen and doesn't undo a filter. */
function useFilters(): { search: SecretsSearch; change: (change: Change) => void } {
  const search = useSearch({ from: "/secrets" });
  const navigate = useNavigate({ from: "/secrets" });
  const change = (asked: Change): void => {
    void navigate({ search: (before) => changed(before, asked), replace: true });
  };
  return { search, change };
}

function changed(before: SecretsSearch, change: Change): SecretsSearch {
  const after = change === "clear" ? { sort: before.sort } : { ...before, ...change };
  return Object.fromEntries(Object.entries(after).filter(([, part]) => part !== undefined && part !== false));
}

/** How many of the selected ones the filters hide. */
function hiddenOf(selected: ReadonlySet<string>, shown: readonly SecretRow[]): number {
  const seen = shown.reduce((sum, { secret }) => sum + (selected.has(secret.name) ? 1 : 0), 0);
  return selected.size - seen;
}

function nameOf({ secret }: SecretRow): string {
  return secret.name;
}

function idOfRow({ id }: SecretRow): string {
  return id;
}
