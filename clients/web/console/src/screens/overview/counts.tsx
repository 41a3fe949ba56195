/** How many synced secrets are in each state, as links to them. */
import { makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import type { SyncedSecret } from "@iotoperations/secret-service-client";
import { createLink } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { SecretsSearch } from "../../app/search";
import { StateBadge } from "../../ui/badges";
import { grouped, STATE_NAMES, type StateName } from "../../ui/words";
import { Panel, WatchedPart } from "./panel";
import { countByState, unmanagedOf } from "./standing";

/** What needs somebody comes first. */
const SHOWN: readonly StateName[] = ["failed", "degraded", "pending", "synced", "deleting"];

const useStyles = makeStyles({
  counts: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fill, minmax(7.5rem, 1fr))",
    gap: tokens.spacingHorizontalS,
    margin: 0,
    padding: 0,
    listStyleType: "none",
  },
  count: {
    display: "flex",
    flexDirection: "column",
    alignItems: "flex-start",
    gap: tokens.spacingVerticalXS,
    padding: tokens.spacingHorizontalM,
    color: tokens.colorNeutralForeground1,
    textDecorationLine: "none",
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  none: { color: tokens.colorNeutralForeground3 },
});

const CountLink = createLink("a");

export function CountsPanel(): ReactNode {
  return (
    <Panel title="Synced secrets">
      <WatchedPart>{({ secrets }) => <Counts secrets={secrets} />}</WatchedPart>
    </Panel>
  );
}

function Counts({ secrets }: { secrets: readonly SyncedSecret[] }): ReactNode {
  const counts = countByState(secrets);
  return (
    <ul className={useStyles().counts}>
      <Count number={secrets.length} label="All" search={{}} />
      {SHOWN.map((name) => {
        const state = STATE_NAMES[name];
        return <Count key={name} number={counts.get(state) ?? 0} label={<StateBadge state={state} />} search={{ state: [name] }} />;
      })}
      <Count number={unmanagedOf(secrets)} label="Of another tool" search={{ origin: "unmanaged" }} />
    </ul>
  );
}

function Count({ number, label, search }: { number: number; label: ReactNode; search: SecretsSearch }): ReactNode {
  const styles = useStyles();
  return (
    <li>
      <CountLink to="/secrets" search={search} className={mergeClasses(styles.count, number === 0 && styles.none)}>
        <Text size={700} weight="semibold">
          {grouped(number)}
        </Text>
        {typeof label === "string" ? <Text>{label}</Text> : label}
      </CountLink>
    </li>
  );
}
