/** What narrows the table: a search, the states with how many are in each, and what there is to choose from. */
import { Button, makeStyles, Select, ToggleButton, tokens } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons";
import { useMemo, type ReactNode } from "react";

import type { SecretsSearch } from "../../app/search";
import { SearchText } from "../../ui/search-text";
import { grouped, STATE_NAMES, type StateName, wordsOfState } from "../../ui/words";
import { isNarrowed, NOTHING } from "./filter";
import { Pick } from "./pick";
import type { SecretRow } from "./rows";
import type { Change } from "./secrets";

const useStyles = makeStyles({
  filters: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS },
  line: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  search: { flexGrow: 1, flexBasis: "16rem", maxWidth: "32rem", "@media (max-width: 640px)": { maxWidth: "none", flexBasis: "100%" } },
});

interface FiltersProps {
  readonly rows: readonly SecretRow[];
  readonly states: Readonly<Record<StateName, number>>;
  readonly search: SecretsSearch;
  readonly onChange: (change: Change) => void;
}

export function Filters({ rows, states, search, onChange }: FiltersProps): ReactNode {
  const styles = useStyles();
  const { users, vaultSecrets } = useMemo(() => choicesOf(rows), [rows]);
  return (
    <search className={styles.filters}>
      <div className={styles.line}>
        <SearchText
          className={styles.search}
          looksIn="name, key, vault secret or user"
          text={search.search ?? ""}
          onChange={(text) => onChange({ search: text === "" ? undefined : text })}
        />
        <Pick
          label="Used by"
          value={search.usedBy}
          choices={users}
          named={[[NOTHING, "Nothing"]]}
          onChange={(usedBy) => onChange({ usedBy })}
        />
        <Pick
          label="Vault secret"
          value={search.vaultSecret}
          choices={vaultSecrets}
          onChange={(vaultSecret) => onChange({ vaultSecret })}
        />
        <Select
          aria-label="Made by"
          value={search.origin ?? ""}
          onChange={(_, { value }) => onChange({ origin: value === "managed" || value === "unmanaged" ? value : undefined })}
        >
          <option value="">Made by anything</option>
          <option value="managed">Made by this service</option>
          <option value="unmanaged">Made by another tool</option>
        </Select>
      </div>
      <div className={styles.line} role="group" aria-label="States">
        <States states={states} chosen={search.state ?? []} onChange={(state) => onChange({ state })} />
        <ToggleButton
          size="small"
          shape="circular"
          checked={search.expiring === true}
          onClick={() => onChange({ expiring: search.expiring !== true })}
        >
          Expires within 30 days
        </ToggleButton>
        <ToggleButton size="small" shape="circular" checked={search.stale === true} onClick={() => onChange({ stale: search.stale !== true })}>
          Not in sync
        </ToggleButton>
        {isNarrowed(search) && (
          <Button size="small" appearance="subtle" icon={<DismissRegular />} onClick={() => onChange("clear")}>
            Clear filters
          </Button>
        )}
      </div>
    </search>
  );
}

interface StatesProps {
  readonly states: Readonly<Record<StateName, number>>;
  readonly chosen: readonly StateName[];
  readonly onChange: (chosen: readonly StateName[] | undefined) => void;
}

function States({ states, chosen, onChange }: StatesProps): ReactNode {
  const toggle = (name: StateName): void => {
    const after = chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name];
    onChange(after.length === 0 ? undefined : after);
  };
  return (Object.keys(STATE_NAMES) as StateName[]).map((name) => (
    <ToggleButton key={name} size="small" shape="circular" checked={chosen.includes(name)} onClick={() => toggle(name)}>
      {wordsOfState(STATE_NAMES[name]).label} {grouped(states[name])}
    </ToggleButton>
  ));
}

/** What there is to choose from. */
function choicesOf(rows: readonly SecretRow[]): { users: readonly string[]; vaultSecrets: readonly string[] } {
  const users = new Set<string>();
  const vaultSecrets = new Set<string>();
  for (const row of rows) {
    row.users?.forEach(({ id }) => users.add(id));
    row.vaultSecrets.forEach((name) => vaultSecrets.add(name));
  }
  return { users: [...users].sort(), vaultSecrets: [...vaultSecrets].sort() };
}
