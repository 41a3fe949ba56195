/** Overview: what there is to look at first, and how to begin where there is nothing. */
import { makeStyles, tokens } from "@fluentui/react-components";
import { Origin } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { useLiveSecrets } from "../../api/hooks";
import { Loading, Page } from "../../ui/page";
import { ChangesPanel } from "./changes";
import { CountsPanel } from "./counts";
import { ExpiryPanel, StalePanel } from "./standing-panels";
import { Start } from "./start";
import { BrokenUsesPanel } from "./uses";
import { VaultPanel } from "./vault";
import { YouPanel } from "./you";

const useStyles = makeStyles({
  columns: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fit, minmax(min(26rem, 100%), 1fr))",
    alignItems: "start",
    gap: tokens.spacingHorizontalL,
  },
  column: { display: "flex", flexDirection: "column", gap: tokens.spacingHorizontalL, minWidth: 0 },
});

export function Overview(): ReactNode {
  const styles = useStyles();
  const { status, secrets } = useLiveSecrets();
  // Only a complete answer of the service says that there is nothing.
  const isFresh = status === "live" && !secrets.some(({ origin }) => origin === Origin.MANAGED);
  if (status === "loading") {
    // How to begin comes before all else, if it comes: it shall push nothing away that somebody reads already.
    return (
      <Page title="Overview">
        <Loading what="the synced secrets" />
      </Page>
    );
  }
  return (
    <Page title="Overview">
      {isFresh && <Start found={secrets.length} />}
      <CountsPanel />
      <div className={styles.columns}>
        <div className={styles.column}>
          <VaultPanel />
          <StalePanel />
          <BrokenUsesPanel />
        </div>
        <div className={styles.column}>
          <ExpiryPanel />
          <ChangesPanel />
          <YouPanel />
        </div>
      </div>
    </Page>
  );
}
