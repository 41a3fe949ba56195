/** The versions of a vault secret, and who has which at the edge. */
import {
  Badge,
  Button,
  makeStyles,
  Spinner,
  Table,
  TableBody,
  TableCell,
  TableHeader,
  TableHeaderCell,
  TableRow,
  Text,
  tokens,
} from "@fluentui/react-components";
import { idOf, type VaultSecretVersion } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import type { ReactNode } from "react";

import { useLiveSecrets, type useVaultSecretVersions } from "../../api/hooks";
import { Link } from "../../app/navigation";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CopyButton } from "../../ui/copy";
import { Loading, Section } from "../../ui/page";
import { Time } from "../../ui/time";
import { validityOf } from "../../ui/validity";
import { ValidityBadge } from "../../ui/validity-badge";
import { VersionText } from "./referrers";
import { VaultProblem } from "./vault-problem";
import { atEdge, type AtEdge, type Referrer } from "./who";

export type VersionAction = "enable" | "change";

const useStyles = makeStyles({
  scroller: { overflowX: "auto", position: "relative" },
  table: { minWidth: "56rem" },
  line: { display: "inline-flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalXS },
  actions: { display: "flex", gap: tokens.spacingHorizontalXS },
});

interface VersionsProps {
  readonly id: string;
  readonly query: ReturnType<typeof useVaultSecretVersions>;
  readonly versions: readonly VaultSecretVersion[];
  /** The id of the latest one; empty where it is not known. */
  readonly latest: string;
  readonly referrers: readonly Referrer[];
  /** Why nothing of it can be changed here. */
  readonly managed: string | undefined;
  readonly onAction: (action: VersionAction, version: VaultSecretVersion) => void;
}

export function Versions({ id, query, versions, latest, referrers, managed, onAction }: VersionsProps): ReactNode {
  const styles = useStyles();
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage, dataUpdatedAt } = query;
  const { heard } = useLiveSecrets();
  const { byVersion, elsewhere } = atEdge(versions, referrers, latest);
  const parent = `vaultSecrets/${id}`;
  return (
    <Section
      title="Versions"
      actions={
        <CommandsButton size="small" method={SecretService.method.listVaultSecretVersions} request={{ parent }} words={["vault", "versions", id]} />
      }
    >
      {error !== null && <VaultProblem error={error} title="The versions can’t be listed." onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Loading what="the versions" />}
      {data !== undefined && (
        <>
          <div className={styles.scroller} tabIndex={0} role="group" aria-label="Versions, as a table">
            <Table aria-label="Versions" className={styles.table}>
              <TableHeader>
                <TableRow>
                  {["Version", "State", "Created", "Activation date", "Expiration date", "At the edge in", "Actions"].map((title) => (
                    <TableHeaderCell key={title}>{title}</TableHeaderCell>
                  ))}
                </TableRow>
              </TableHeader>
              <TableBody>
                {versions.map((version) => (
                  <Row
                    key={version.name}
                    version={version}
                    isLatest={idOf(version.name) === latest}
                    edge={heard === 0 ? "not known" : byVersion.get(idOf(version.name))}
                    managed={managed}
                    parent={parent}
                    onAction={onAction}
                  />
                ))}
              </TableBody>
            </Table>
          </div>
          {hasNextPage && (
            <div>
              <Button size="small" disabledFocusable={isFetchingNextPage} icon={isFetchingNextPage ? <Spinner size="tiny" /> : null} onClick={() => void fetchNextPage()}>
                More versions
              </Button>
            </div>
          )}
          {latest === "" && versions.length > 1 && <Text>Which one is the latest can’t be told: several were added in one second, or not all are loaded.</Text>}
          {elsewhere.length > 0 && (
            <Text>
              {hasNextPage ? "At the edge in versions that are not shown yet: " : "At the edge in versions that the vault no longer lists: "}
              {elsewhere.map(({ id: secret, key, synced }) => `${secret}/${key} (${synced.slice(0, 8)}…)`).join(", ")}
            </Text>
          )}
          <Text size={200}>
            As of <Time value={new Date(dataUpdatedAt)} />. A value is never shown.
          </Text>
        </>
      )}
    </Section>
  );
}

interface RowProps {
  readonly version: VaultSecretVersion;
  readonly isLatest: boolean;
  readonly edge: AtEdge | "not known" | undefined;
  readonly managed: string | undefined;
  readonly parent: string;
  readonly onAction: VersionsProps["onAction"];
}

function Row({ version, isLatest, edge, managed, parent, onAction }: RowProps): ReactNode {
  const styles = useStyles();
  const id = idOf(version.name);
  const validity = validityOf(version);
  return (
    <TableRow>
      <TableCell>
        <span className={styles.line}>
          <VersionText id={id} />
          <CopyButton text={id} label={`Copy the version ${id}`} />
          {isLatest && (
            <Badge appearance="tint" color="brand">
              Latest
            </Badge>
          )}
        </span>
      </TableCell>
      <TableCell>{validity.kind === "valid" ? "Enabled" : <ValidityBadge validity={validity} />}</TableCell>
      <TableCell>
        <Time value={version.createTime} />
      </TableCell>
      <TableCell>
        <Time value={version.notBeforeTime} />
      </TableCell>
      <TableCell>
        <Time value={version.expireTime} />
      </TableCell>
      <TableCell>
        <Edge edge={edge} />
      </TableCell>
      <TableCell>
        <div className={styles.actions}>
          <ActionButton size="small" method="UpdateVaultSecret" resource={parent} unless={managed} aria-label={`${version.enabled ? "Disable" : "Enable"} the version ${id}`} onClick={() => onAction("enable", version)}>
            {version.enabled ? "Disable…" : "Enable…"}
          </ActionButton>
          <ActionButton size="small" method="UpdateVaultSecret" resource={parent} unless={managed} aria-label={`Change the version ${id}`} onClick={() => onAction("change", version)}>
            Change…
          </ActionButton>
        </div>
      </TableCell>
    </TableRow>
  );
}

/** Which synced secrets have a version, and which shall have it. */
function Edge({ edge }: { edge: AtEdge | "not known" | undefined }): ReactNode {
  if (edge === "not known") {
    return "Not known";
  }
  if (edge === undefined || (edge.here.length === 0 && edge.wanted.length === 0)) {
    return "-";
  }
  return (
    <span>
      <References referrers={edge.here} />
      {edge.wanted.length > 0 && (
        <Text size={200}>
          {edge.here.length > 0 && " · "}not yet in <References referrers={edge.wanted} />
        </Text>
      )}
    </span>
  );
}

function References({ referrers }: { referrers: readonly Referrer[] }): ReactNode {
  return referrers.map(({ id, key }, index) => [
    index > 0 && ", ",
    <Link key={`${id}/${key}`} to="/secrets/$id" params={{ id }}>
      {`${id}/${key}`}
    </Link>,
  ]);
}
