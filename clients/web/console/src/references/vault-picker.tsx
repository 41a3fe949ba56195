/** "Add from Azure Key Vault": finds secrets in the vault and picks one or several for references. */
import { ConditionStatus, idOf, type VaultSecret } from "@iotoperations/secret-service-client";
import { Button, Input, makeStyles, Spinner, Switch, Text, tokens } from "@fluentui/react-components";
import { SearchRegular } from "@fluentui/react-icons";
import { useMemo, useState, type ReactNode } from "react";

import { useVault, useVaultSecrets } from "../api/hooks";
import { CloseButton, DialogInside, DialogShell } from "../ui/dialog";
import { Empty, Loading } from "../ui/page";
import { Problem } from "../ui/problem";
import { count } from "../ui/words";
import { PickOptions } from "./pick-options";
import { VaultList } from "./vault-list";
import { pickOf, type VaultPick } from "./vault-pick";
import { useSettled } from "./vault-secret-name";

const useStyles = makeStyles({
  content: { minWidth: 0 },
  search: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalM },
  box: { flexGrow: 1, minWidth: "min(16rem, 100%)" },
  pick: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalM,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground3,
    overflowWrap: "anywhere",
  },
  muted: { color: tokens.colorNeutralForeground3 },
});

export interface VaultPickerDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  /** What it is for, in the title: "Username reference". */
  readonly title?: string;
  /** Whether several may be picked. */
  readonly multiple?: boolean;
  /** With what the search begins. */
  readonly search?: string;
  /** What was picked before, to change it. */
  readonly initial?: VaultPick;
  readonly onPick: (picks: readonly VaultPick[]) => void;
}

export function VaultPickerDialog(props: VaultPickerDialogProps): ReactNode {
  const { open, onClose } = props;
  return (
    <DialogShell open={open} onClose={onClose} stays width="56rem">
      <Picker {...props} />
    </DialogShell>
  );
}

function Picker({ onClose, title = "", multiple = false, search: begin = "", initial, onPick }: VaultPickerDialogProps): ReactNode {
  const styles = useStyles();
  const [search, setSearch] = useState(initial === undefined ? begin : idOf(initial.vaultSecret));
  const [unsyncedOnly, setUnsyncedOnly] = useState(false);
  const [picks, setPicks] = useState<ReadonlyMap<string, VaultPick>>(
    () => new Map(initial === undefined ? [] : [[initial.vaultSecret, initial]]),
  );
  const toggle = (secret: VaultSecret): void => {
    const picked = new Map(multiple ? picks : []);
    if (picks.has(secret.name)) {
      picked.delete(secret.name);
    } else {
      picked.set(secret.name, pickOf(secret));
    }
    setPicks(picked);
  };
  const done = (): void => {
    onPick([...picks.values()]);
    onClose();
  };
  return (
    <DialogInside
      title={title === "" ? "Add from Azure Key Vault" : `Add from Azure Key Vault: ${title}`}
      className={styles.content}
      actions={
        <>
          <CloseButton>Cancel</CloseButton>
          <Button appearance="primary" disabledFocusable={picks.size === 0} onClick={() => picks.size > 0 && done()}>
            {picks.size > 1 ? `Add ${picks.size}` : "Add"}
          </Button>
        </>
      }
    >
      <div className={styles.search}>
        <Input
          className={styles.box}
          type="search"
          aria-label="Part of a name in the vault"
          placeholder="Part of a name"
          contentBefore={<SearchRegular />}
          autoComplete="off"
          spellCheck={false}
          value={search}
          onChange={(_, { value }) => setSearch(value)}
        />
        <Switch label="Not synced yet" checked={unsyncedOnly} onChange={(_, { checked }) => setUnsyncedOnly(checked)} />
      </div>
      <Found search={search} unsyncedOnly={unsyncedOnly} picked={picks} multiple={multiple} onToggle={toggle} />
      {[...picks.values()].map((pick) => (
        <div key={pick.vaultSecret} className={styles.pick} role="group" aria-label={idOf(pick.vaultSecret)}>
          <Text weight="semibold">{idOf(pick.vaultSecret)}</Text>
          <PickOptions pick={pick} onChange={(changed) => setPicks(new Map(picks).set(pick.vaultSecret, changed))} />
        </div>
      ))}
    </DialogInside>
  );
}

interface FoundProps {
  readonly search: string;
  readonly unsyncedOnly: boolean;
  readonly picked: ReadonlyMap<string, VaultPick>;
  readonly multiple: boolean;
  readonly onToggle: (secret: VaultSecret) => void;
}

/** What the vault has of it. */
function Found({ search, unsyncedOnly, picked, multiple, onToggle }: FoundProps): ReactNode {
  const styles = useStyles();
  const nameContains = useSettled(search.trim(), 250);
  const query = useVaultSecrets({ nameContains, unsyncedOnly });
  const { data, error, refetch, hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = query;
  const secrets = useMemo(() => data?.pages.flatMap((page) => page.vaultSecrets) ?? [], [data]);
  const names = useMemo(() => new Set(picked.keys()), [picked]);
  if (error !== null && data === undefined) {
    return (
      <>
        <Problem error={error} onRetry={() => void refetch()} />
        <ListRights />
      </>
    );
  }
  if (data === undefined) {
    return <Loading what="what the vault has" />;
  }
  // What failed is asked for again: the next page, or the pages that are there, which are old until then.
  const again = (): void => void (isFetchNextPageError ? fetchNextPage() : refetch());
  const failed = error !== null && <Problem error={error} onRetry={again} />;
  if (secrets.length === 0 && !hasNextPage) {
    return failed || <Nothing search={nameContains} unsyncedOnly={unsyncedOnly} />;
  }
  const more = hasNextPage && !isFetchingNextPage && error === null ? () => void fetchNextPage() : undefined;
  return (
    <>
      <VaultList
        // What was looked for before has another first row.
        key={`${nameContains}/${unsyncedOnly}`}
        label="Secrets in Azure Key Vault"
        secrets={secrets}
        picked={names}
        multiple={multiple}
        onToggle={onToggle}
        onEnd={more}
      />
      <Text size={200} className={styles.muted} role="status">
        {isFetchingNextPage && <Spinner size="extra-tiny" />}
        {hasNextPage ? `${count(secrets.length, "secret")} so far` : count(secrets.length, "secret")}
        {picked.size > 0 && `, ${picked.size} picked`}. Arrow keys move, space picks.
      </Text>
      {failed}
    </>
  );
}

function Nothing({ search, unsyncedOnly }: { search: string; unsyncedOnly: boolean }): ReactNode {
  const what = unsyncedOnly ? "nothing that isn't synced" : "nothing";
  return (
    <>
      <Empty title={search === "" ? `There is ${what} in the vault.` : `The vault has ${what} with “${search}” in its name.`}>
        {search === "" ? "Create a new secret instead." : "Look for a shorter part of the name, or create a new secret instead."}
      </Empty>
      <ListRights />
    </>
  );
}

/** Whether the service may list at all, as the last look at the vault found. */
function ListRights(): ReactNode {
  const styles = useStyles();
  const { data } = useVault();
  const found = data?.conditions.find(({ type }) => type === "CanList");
  if (found === undefined || found.status === ConditionStatus.TRUE) {
    return null;
  }
  return <Text className={styles.muted}>The service may not list, or it is unknown: {found.message}</Text>;
}
