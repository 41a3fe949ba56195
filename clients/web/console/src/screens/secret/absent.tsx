/** The screen where there is no such synced secret: any more, or at all. */
import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useQuery } from "@connectrpc/connect-query";
import { useState, type ReactNode } from "react";

import { Link, LinkButton } from "../../app/navigation";
import { ActionButton } from "../../ui/action";
import { Empty, Page } from "../../ui/page";
import { AdoptDialog } from "./adopt-dialog";
import { History } from "./history";

const useStyles = makeStyles({
  actions: { display: "flex", flexWrap: "wrap", justifyContent: "center", gap: tokens.spacingHorizontalS },
});

/** It was there, and is not any more. */
export function Gone({ id }: { id: string }): ReactNode {
  return (
    <Page title={id} subtitle="Deleted">
      <Empty title={`${id} is not there any more.`} action={<LinkButton to="/secrets">All synced secrets</LinkButton>}>
        It was deleted from the edge; the vault keeps its secrets. The history says by whom.
      </Empty>
      <History name={`syncedSecrets/${id}`} />
    </Page>
  );
}

/** It isn't there: maybe because somebody took the name of a vault secret for that of a synced secret. */
export function NotThere({ id, onLookAgain }: { id: string; onLookAgain: () => void }): ReactNode {
  const styles = useStyles();
  const [adopting, setAdopting] = useState(false);
  const vaultSecret = useQuery(SecretService.method.getVaultSecret, { name: `vaultSecrets/${id}` }, { enabled: /^[0-9a-zA-Z-]{1,127}$/.test(id) });
  const isVaultSecret = vaultSecret.data !== undefined;
  return (
    <Page title={id} subtitle="Not found">
      {isVaultSecret ? (
        <Empty
          title={`${id} is a vault secret; sync it.`}
          action={
            <LinkButton to="/new" search={{ vaultSecret: [id] }} appearance="primary">
              Sync {id}
            </LinkButton>
          }
        >
          <SyncedBy names={vaultSecret.data.syncedSecrets} /> What a resource names is a synced secret, never a vault secret. See it in{" "}
          <Link to="/vault/$id" params={{ id }}>
            Key Vault
          </Link>
          .
        </Empty>
      ) : (
        <Empty
          title={`There is no synced secret ${id}.`}
          action={
            <div className={styles.actions}>
              <LinkButton to="/secrets">All synced secrets</LinkButton>
              <Button onClick={onLookAgain}>Look again</Button>
              <ActionButton method="AdoptSyncedSecret" resource={`syncedSecrets/${id}`} onClick={() => setAdopting(true)}>
                Adopt a Kubernetes Secret of this name
              </ActionButton>
            </div>
          }
        >
          Look at the name. If the cluster has a Kubernetes Secret of this name that another tool made, it can be adopted.
        </Empty>
      )}
      {adopting && <AdoptDialog name={`syncedSecrets/${id}`} references={[]} onClose={() => setAdopting(false)} onAdopted={onLookAgain} />}
      <History name={`syncedSecrets/${id}`} />
    </Page>
  );
}

function SyncedBy({ names }: { names: readonly string[] }): ReactNode {
  if (names.length === 0) {
    return <Text>Nothing syncs it yet.</Text>;
  }
  return (
    <Text>
      It is synced by{" "}
      {names.map((name, index) => {
        const id = name.replace(/^syncedSecrets\//, "");
        return (
          <span key={name}>
            {index > 0 && ", "}
            <Link to="/secrets/$id" params={{ id }}>
              {id}
            </Link>
          </span>
        );
      })}
      .
    </Text>
  );
}
