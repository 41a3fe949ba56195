/** Which certificates are shown. */
import { Checkbox, makeStyles, SearchBox, Select, Tab, TabList, tokens } from "@fluentui/react-components";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState, type ReactNode } from "react";

import { LIST_KINDS, type CertificatesSearch } from "../../app/search";
import { wordsOfKind } from "./list-field";
import type { CertificateList } from "./lists";

const ALL = "all";
/** How long nobody types before the address has what was typed. */
const PAUSE_MS = 150;

const useStyles = makeStyles({
  filters: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalM },
  search: { flexGrow: 1, maxWidth: "28rem", minWidth: "12rem" },
});

/** What stands in the address, and how to change it. */
export function useCertificatesSearch() {
  const search = useSearch({ from: "/certificates" });
  const navigate = useNavigate({ from: "/certificates" });
  const show = (change: { [K in keyof CertificatesSearch]?: CertificatesSearch[K] | undefined }): void => {
    void navigate({ search: (before) => ({ ...before, ...change }) as CertificatesSearch, replace: true });
  };
  return { search, show };
}

export function Filters({ lists }: { lists: readonly CertificateList[] }): ReactNode {
  const styles = useStyles();
  const { search, show } = useCertificatesSearch();
  const [typed, setTyped] = useState(search.search ?? "");
  useEffect(() => {
    const timer = setTimeout(() => {
      if (typed !== (search.search ?? "")) {
        show({ search: typed === "" ? undefined : typed });
      }
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  });
  return (
    <div className={styles.filters}>
      <TabList
        aria-label="Certificate lists"
        selectedValue={search.kind ?? ALL}
        onTabSelect={(_, { value }) => show({ kind: LIST_KINDS.find((kind) => kind === value), list: undefined })}
      >
        <Tab value={ALL}>All</Tab>
        {LIST_KINDS.map((kind) => (
          <Tab key={kind} value={kind}>
            {kind === "other" ? "Other" : wordsOfKind(kind)}
          </Tab>
        ))}
      </TabList>
      <Select
        aria-label="List"
        value={search.list ?? ""}
        onChange={(_, { value }) => show({ list: value === "" ? undefined : value })}
      >
        <option value="">Every list</option>
        {lists
          .filter(({ kind }) => search.kind === undefined || kind === search.kind)
          .map(({ id, secret }) => (
            <option key={id} value={id}>
              {secret === undefined ? `${id} (not made yet)` : id}
            </option>
          ))}
      </Select>
      <SearchBox
        className={styles.search}
        aria-label="Search certificates"
        placeholder="Name, subject, issuer, thumbprint"
        value={typed}
        onChange={(_, { value }) => setTyped(value)}
      />
      <Checkbox
        label="Expired or expiring soon"
        checked={search.expiring === true}
        onChange={(_, { checked }) => show({ expiring: checked === true ? true : undefined })}
      />
    </div>
  );
}
