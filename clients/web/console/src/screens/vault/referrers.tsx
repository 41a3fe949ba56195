/** The synced secrets that refer to a vault secret. */
import {
  Badge,
  makeStyles,
  Table,
  TableBody,
  TableCell,
  TableHeader,
  TableHeaderCell,
  TableRow,
  Text,
  tokens,
} from "@fluentui/react-components";
import type { ReactNode } from "react";

import { useLiveSecrets } from "../../api/hooks";
import { Link } from "../../app/navigation";
import { StandingBadge } from "../../ui/badges";
import { Section } from "../../ui/page";
import { Time } from "../../ui/time";
import type { Referrer } from "./who";

const useStyles = makeStyles({
  scroller: { overflowX: "auto", position: "relative" },
  table: { minWidth: "34rem" },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  line: { display: "inline-flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
});

interface ReferrersProps {
  readonly referrers: readonly Referrer[];
  /** Those, by id, that the service names, and whose references are not seen. */
  readonly unseen?: readonly string[];
  /** The version that those have at the edge that follow; empty where it is not known. */
  readonly latest?: string;
}

export function Referrers({ referrers, unseen = [], latest = "" }: ReferrersProps): ReactNode {
  const styles = useStyles();
  const { status } = useLiveSecrets();
  const isKnown = status === "live" || status === "interrupted";
  return (
    <Section title="Synced secrets that refer to it">
      {referrers.length === 0 && unseen.length === 0 && <Text>{isKnown ? "Nobody syncs it." : "Who syncs it is not known yet."}</Text>}
      {referrers.length > 0 && (
        <div className={styles.scroller} tabIndex={0} role="group" aria-label="Synced secrets that refer to it, as a table">
          <Table aria-label="Synced secrets that refer to it" className={styles.table}>
            <TableHeader>
              <TableRow>
                <TableHeaderCell>Synced secret</TableHeaderCell>
                <TableHeaderCell>Key</TableHeaderCell>
                <TableHeaderCell>Follows</TableHeaderCell>
                <TableHeaderCell>At the edge</TableHeaderCell>
                <TableHeaderCell>State</TableHeaderCell>
              </TableRow>
            </TableHeader>
            <TableBody>
              {referrers.map((referrer) => (
                <TableRow key={`${referrer.id}/${referrer.key}`}>
                  <TableCell>
                    <Link to="/secrets/$id" params={{ id: referrer.id }}>
                      {referrer.id}
                    </Link>
                  </TableCell>
                  <TableCell>{referrer.key}</TableCell>
                  <TableCell>{referrer.pinned === "" ? "The latest version" : <VersionText id={referrer.pinned} />}</TableCell>
                  <TableCell>
                    <EdgeVersion referrer={referrer} latest={latest} />
                  </TableCell>
                  <TableCell>
                    <StandingBadge secret={referrer.secret} />
                  </TableCell>
                </TableRow>
              ))}
            </TableBody>
          </Table>
        </div>
      )}
      {unseen.length > 0 && (
        <Text>
          The service {referrers.length > 0 && "also "}names <Names ids={unseen} />; what they take of it can’t be seen.
        </Text>
      )}
    </Section>
  );
}

function Names({ ids }: { ids: readonly string[] }): ReactNode {
  return ids.map((id, index) => [
    index > 0 && ", ",
    <Link key={id} to="/secrets/$id" params={{ id }}>
      {id}
    </Link>,
  ]);
}

function EdgeVersion({ referrer: { synced, pinned, secret }, latest }: { referrer: Referrer; latest: string }): ReactNode {
  const styles = useStyles();
  if (synced === "") {
    return "Nothing yet";
  }
  const isOlder = pinned === "" && latest !== "" && synced !== latest;
  return (
    <span className={styles.line}>
      <VersionText id={synced} />
      {isOlder && (
        <Badge appearance="tint" color="warning">
          Not the latest
        </Badge>
      )}
      {isOlder && secret.syncTime && (
        <Text size={200}>
          since <Time value={secret.syncTime} />
        </Text>
      )}
    </span>
  );
}

/** The begin of a version; all of it in the tooltip. */
export function VersionText({ id }: { id: string }): ReactNode {
  return (
    <span className={useStyles().code} title={id}>
      {id.slice(0, 8)}…
    </span>
  );
}
