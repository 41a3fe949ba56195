/** The columns of the table. The first two stay on the smallest screen. */
import { conditionOf, ConditionStatus, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { Link } from "../../app/navigation";
import { StandingBadge } from "../../ui/badges";
import { endsOf, isUncompared, nextEndOf } from "../../ui/standing";
import type { Column } from "../../ui/table";
import { Time } from "../../ui/time";
import { count, wordsOfOrigin } from "../../ui/words";
import { urgencyOf } from "./filter";
import type { SecretRow } from "./rows";

const NAMED = 2;
const SHORT = 8;

const useStyles = makeStyles({
  lines: { display: "flex", flexDirection: "column", lineHeight: tokens.lineHeightBase200, minWidth: 0 },
  line: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  second: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground3 },
  muted: { color: tokens.colorNeutralForeground3 },
  inline: { display: "inline-flex", alignItems: "center", gap: tokens.spacingHorizontalXS },
});

export function columnsOf(now: number): readonly Column<SecretRow>[] {
  return [
    { id: "name", title: "Name", width: "minmax(8rem, 1.5fr)", sortBy: ({ id }) => id, cell: (row) => <Name row={row} /> },
    { id: "state", title: "State", width: "8rem", sortBy: urgencyOf, cell: ({ secret }) => <StandingBadge secret={secret} /> },
    { id: "keys", title: "Keys", width: "minmax(9rem, 1fr)", from: 820, cell: ({ keys }) => <Keys keys={keys} /> },
    {
      id: "users",
      title: "Used by",
      width: "minmax(7rem, 1.5fr)",
      from: 560,
      sortBy: ({ users }) => users?.length,
      cell: ({ users }) => <Users users={users} />,
    },
    {
      id: "synced",
      title: "In sync",
      width: "9.5rem",
      from: 700,
      sortBy: ({ synced }) => synced,
      cell: ({ secret }) => <AtTheEdge secret={secret} />,
    },
    {
      id: "expires",
      title: "Expires",
      width: "8.5rem",
      from: 940,
      sortBy: ({ secret }) => endForOrder(secret, now),
      cell: ({ secret }) => <Expires secret={secret} now={now} />,
    },
    {
      id: "origin",
      title: "Made by",
      width: "7rem",
      from: 1_080,
      sortBy: ({ secret }) => secret.origin,
      cell: ({ secret }) => wordsOfOrigin(secret.origin),
    },
  ];
}

function Name({ row: { id, secret } }: { row: SecretRow }): ReactNode {
  const styles = useStyles();
  return (
    <span className={styles.lines}>
      <span className={styles.line}>
        <Link to="/secrets/$id" params={{ id }} title={id}>
          {id}
        </Link>
      </span>
      {secret.description !== "" && <span className={mergeClasses(styles.line, styles.second)}>{secret.description}</span>}
    </span>
  );
}

function Keys({ keys }: { keys: readonly string[] }): ReactNode {
  const styles = useStyles();
  // Lists leave out the references that the caller may not see.
  return keys.length === 0 ? <span className={styles.muted}>Not shown</span> : <span title={keys.join(", ")}>{keys.join(", ")}</span>;
}

/** The first ones by name, and how many there are. */
function Users({ users }: Pick<SecretRow, "users">): ReactNode {
  const styles = useStyles();
  if (users === undefined) {
    return <span className={styles.muted}>Unknown</span>;
  }
  if (users.length === 0) {
    return <span className={styles.muted}>Nothing</span>;
  }
  const names = users.slice(0, NAMED).map(({ resource }) => resource);
  const rest = users.length - names.length;
  return (
    <span className={styles.lines} title={users.slice(0, 20).map(({ kind, resource }) => `${kind} ${resource}`).join("\n")}>
      <span className={styles.line}>{names.join(", ")}</span>
      <span className={mergeClasses(styles.line, styles.second)}>
        {count(users.length, "resource")}
        {rest > 0 && `, ${rest} not named here`}
      </span>
    </span>
  );
}

/** When the edge was last in sync; of what is not, since when, and of what is, with which version. */
function AtTheEdge({ secret }: { secret: SyncedSecret }): ReactNode {
  const styles = useStyles();
  const { syncTime, state, origin } = secret;
  if (syncTime === undefined) {
    const known = state === State.FAILED ? "Never" : origin === Origin.UNMANAGED ? "Unknown" : "Not yet";
    return <span className={styles.muted}>{known}</span>;
  }
  return (
    <span className={styles.lines}>
      <span className={styles.line}>
        <Time value={syncTime} distance />
      </span>
      <span className={mergeClasses(styles.line, styles.second)}>
        <Detail secret={secret} />
      </span>
    </span>
  );
}

function Detail({ secret }: { secret: SyncedSecret }): ReactNode {
  if (secret.state === State.DEGRADED) {
    const since = conditionOf(secret, "Synced")?.lastTransitionTime;
    return since === undefined ? null : (
      <>
        degraded <Time value={since} distance />
      </>
    );
  }
  if (isUncompared(secret)) {
    return "not compared lately";
  }
  const versions = [...new Set(secret.references.map(({ syncedVersion }) => syncedVersion).filter(Boolean))];
  const [only] = versions;
  if (only === undefined) {
    return null;
  }
  return versions.length === 1 ? <span title={only}>version {only.slice(0, SHORT)}…</span> : count(versions.length, "version");
}

/** By the date that is shown; what is due without a date that the caller may see comes first. */
function endForOrder(secret: SyncedSecret, now: number): number | undefined {
  const end = nextEndOf(endsOf(secret, now));
  return end && (end.at ?? 0);
}

function Expires({ secret, now }: { secret: SyncedSecret; now: number }): ReactNode {
  const styles = useStyles();
  const end = nextEndOf(endsOf(secret, now));
  if (end === undefined) {
    return <span className={styles.muted}>{noDateOf(secret)}</span>;
  }
  const time = end.at === undefined ? "No date shown" : <Time value={new Date(end.at)} distance />;
  if (end.standing === "later") {
    return time;
  }
  return (
    <span className={styles.lines}>
      <span className={styles.line}>{time}</span>
      <span>
        <Badge size="small" appearance="tint" color={end.standing === "expired" ? "danger" : "warning"}>
          {end.standing === "expired" ? "Expired" : "Soon"}
        </Badge>
      </span>
    </span>
  );
}

/** What is known of the end of something without a date. Lists leave out the references that the caller may not see. */
export function noDateOf(secret: SyncedSecret): string {
  if (secret.references.length > 0) {
    return "No date";
  }
  return conditionOf(secret, "Expiring")?.status === ConditionStatus.FALSE ? "Not soon" : "Unknown";
}
