/** Certificates: the lists of what connectors trust, and all else at the edge that is a certificate. */
import {
  Button,
  makeStyles,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  MessageBar,
  MessageBarBody,
  MessageBarTitle,
  Text,
  tokens,
} from "@fluentui/react-components";
import { AddRegular, ArrowUploadRegular, KeyMultipleRegular } from "@fluentui/react-icons";
import { SyncEngine } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useMemo, useState, type ReactNode } from "react";

import { useLiveSecrets, usePurposes, useUsages, useVault } from "../../api/hooks";
import { Link } from "../../app/navigation";
import type { CertificatesSearch } from "../../app/search";
import { StandingBadge } from "../../ui/badges";
import { CommandsButton } from "../../ui/commands";
import { Empty, Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { DataTable } from "../../ui/table";
import { count } from "../../ui/words";
import { columnsOf, type EntryAction } from "./columns";
import { DetailsDialog } from "./details";
import { Filters, useCertificatesSearch } from "./filters";
import { wordsOfKind } from "./list-field";
import { entriesOf, found, listsOf, type CertificateList, type Entry } from "./lists";
import { FromVaultDialog } from "./from-vault";
import { OPC_UA_ISSUER_LIST, OPC_UA_TRUST_LIST } from "./names";
import { RemoveDialog } from "./remove";
import { ReplaceDialog } from "./replace";
import { UploadDialog } from "./upload";

const useStyles = makeStyles({
  line: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalM },
});

/** What is open above the table. */
type Open = { readonly what: "upload" | "vault" } | { readonly what: EntryAction; readonly entry: Entry };

export function Certificates(): ReactNode {
  const { status, error } = useLiveSecrets();
  const { lists, isComplete, purposes, usages } = useLists();
  const [open, setOpen] = useState<Open>();
  const { search } = useCertificatesSearch();
  const list = search.list ?? (search.kind === "issuer" ? OPC_UA_ISSUER_LIST : OPC_UA_TRUST_LIST);
  return (
    <Page
      title="Certificates"
      subtitle="What connectors trust, and the other certificates at the edge"
      filling
      actions={<AddButton onAdd={(what) => setOpen({ what })} />}
    >
      <Filters lists={lists} />
      {purposes.error !== null && <Problem error={purposes.error} title="Which lists there can be is not known." onRetry={() => void purposes.refetch()} />}
      {usages.error !== null && <Problem error={usages.error} title="What uses the lists is not known." onRetry={() => void usages.refetch()} />}
      {status === "loading" && <Loading what="the certificates" />}
      {status === "failed" && !isComplete && <Problem error={error} title="The synced secrets can’t be watched." />}
      {isComplete && (
        <>
          <Unread lists={lists} />
          <ChosenList lists={lists} onAdd={() => setOpen({ what: "upload" })} />
          <Entries lists={lists} onOpen={setOpen} />
        </>
      )}
      {open?.what === "upload" && <UploadDialog lists={lists} list={list} onClose={() => setOpen(undefined)} />}
      {open?.what === "vault" && <FromVaultDialog lists={lists} list={list} onClose={() => setOpen(undefined)} />}
      {open !== undefined && "entry" in open && <EntryDialog open={open} onOpen={setOpen} lists={lists} />}
    </Page>
  );
}

function useLists() {
  const { secrets, status, heard } = useLiveSecrets();
  const usages = useUsages();
  const purposes = usePurposes();
  const lists = useMemo(
    () => listsOf(secrets, usages.data ?? [], purposes.data?.purposes ?? []),
    [secrets, usages.data, purposes.data],
  );
  return { lists, usages, purposes, isComplete: status === "live" || (heard > 0 && status !== "loading") };
}

function AddButton({ onAdd }: { onAdd: (from: "upload" | "vault") => void }): ReactNode {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="primary" icon={<AddRegular />}>
          Add new certificate
        </Button>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuItem icon={<ArrowUploadRegular />} onClick={() => onAdd("upload")}>
            Upload Certificate
          </MenuItem>
          <MenuItem icon={<KeyMultipleRegular />} onClick={() => onAdd("vault")}>
            Add from Azure Key Vault
          </MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

/** The table. */
function Entries({ lists, onOpen }: { lists: readonly CertificateList[]; onOpen: (open: Open) => void }): ReactNode {
  const { search, show } = useCertificatesSearch();
  const entries = useMemo(() => entriesOf(lists), [lists]);
  const rows = useMemo(() => found(entries, search), [entries, search]);
  const columns = useMemo(() => columnsOf((what, entry) => onOpen({ what, entry })), [onOpen]);
  const missing = lists.filter(({ secret, kind, id }) => secret === undefined && matches(search, kind, id));
  return (
    <>
      <Text role="status">
        {rows.length === entries.length ? count(rows.length, "entry", "entries") : `${rows.length} of ${count(entries.length, "entry", "entries")}`}
        {missing.length > 0 && `. Not made yet: ${missing.map(({ id }) => id).join(", ")}.`}
      </Text>
      <DataTable
        label="Certificates"
        rows={rows}
        columns={columns}
        idOf={({ id }) => id}
        sort={search.sort ?? ""}
        onSort={(sort) => show({ sort })}
        empty={
          entries.length === 0 ? (
            <Empty title="There are no certificates at the edge.">“Add new certificate” puts one into a trust or issuer list, and makes the list.</Empty>
          ) : (
            <Empty title="No certificate is like that.">Search for something else, or look at another list.</Empty>
          )
        }
      />
    </>
  );
}

function matches({ kind, list }: CertificatesSearch, ofKind: string, id: string): boolean {
  return (kind === undefined || kind === ofKind) && (list === undefined || list === id);
}

/** The one list that is looked at, with the line that shows the same. */
function ChosenList({ lists, onAdd }: { lists: readonly CertificateList[]; onAdd: () => void }): ReactNode {
  const styles = useStyles();
  const { search } = useCertificatesSearch();
  const list = lists.find(({ id }) => id === search.list);
  if (list === undefined) {
    return null;
  }
  return (
    <div className={styles.line}>
      <Text weight="semibold">{wordsOfKind(list.kind)}</Text>
      {list.secret === undefined ? (
        <>
          <Text>{list.id} is not made yet.</Text>
          <Button size="small" onClick={onAdd}>
            Add its first certificate
          </Button>
        </>
      ) : (
        <>
          <Link to="/secrets/$id" params={{ id: list.id }}>
            {list.id}
          </Link>
          <StandingBadge secret={list.secret} />
          <CommandsButton
            size="small"
            method={SecretService.method.getSyncedSecret}
            request={{ name: list.secret.name }}
            words={["secrets", "certificates", "list", list.id]}
          />
        </>
      )}
    </div>
  );
}

/** Why the Secret Store engine may tell nothing of certificates. */
function Unread({ lists }: { lists: readonly CertificateList[] }): ReactNode {
  const { data } = useVault();
  const references = entriesOf(lists).map(({ reference }) => reference);
  const unread = references.filter(({ certificate, syncedVersion, problem }) => certificate === undefined && problem === undefined && syncedVersion !== "");
  if (data?.engine !== SyncEngine.SECRET_STORE || unread.length === 0) {
    return null;
  }
  return (
    <MessageBar intent="info" layout="multiline">
      <MessageBarBody>
        <MessageBarTitle>{count(unread.length, "entry was", "entries were")} not read.</MessageBarTitle> The Secret Store extension copies the
        values, and the service reads none of them by itself. To see subjects, dates and thumbprints, set secret_store.read_certificates = true
        in its configuration.
      </MessageBarBody>
    </MessageBar>
  );
}

interface EntryDialogProps {
  readonly open: { readonly what: EntryAction; readonly entry: Entry };
  readonly onOpen: (open: Open | undefined) => void;
  readonly lists: readonly CertificateList[];
}

/** What was chosen of an entry. Its facts are shown as they are now; what is decided is about the entry as it was chosen. */
function EntryDialog({ open: { what, entry: chosen }, onOpen, lists }: EntryDialogProps): ReactNode {
  const now = entriesOf(lists).find(({ id }) => id === chosen.id);
  const entry = now ?? chosen;
  const close = (): void => onOpen(undefined);
  switch (what) {
    case "details":
      return <DetailsDialog entry={entry} onClose={close} onAction={(next) => onOpen({ what: next, entry })} />;
    case "replace":
      return <ReplaceDialog entry={chosen} now={now} onClose={close} />;
    case "remove":
      return <RemoveDialog entry={chosen} now={now} onClose={close} />;
  }
}
