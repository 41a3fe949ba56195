/** The columns of the vault's secrets. */
import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { idOf, type VaultSecret } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, tokens } from "@fluentui/react-components";
import { CertificateRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { Link } from "../../app/navigation";
import { wordsOfContentType } from "../../references/vault-pick";
import type { Column } from "../../ui/table";
import { Time } from "../../ui/time";
import { validityOf } from "../../ui/validity";
import { ValidityBadge } from "../../ui/validity-badge";
import { wordsOfTags } from "./tags";

/** A vault secret and who syncs it. */
export interface VaultRow {
  readonly secret: VaultSecret;
  readonly syncers: readonly string[];
}

const useStyles = makeStyles({
  line: { display: "inline-flex", alignItems: "center", gap: tokens.spacingHorizontalS },
  muted: { color: tokens.colorNeutralForeground3 },
});

export const COLUMNS: readonly Column<VaultRow>[] = [
  {
    id: "name",
    title: "Name",
    width: "minmax(9rem, 2fr)",
    sortBy: ({ secret }) => secret.name.toLowerCase(),
    cell: ({ secret }) => (
      <Link to="/vault/$id" params={{ id: idOf(secret.name) }} title={idOf(secret.name)}>
        {idOf(secret.name)}
      </Link>
    ),
  },
  {
    id: "enabled",
    title: "State",
    width: "minmax(7.5rem, 9rem)",
    sortBy: ({ secret }) => validityOf(secret).label || "Enabled",
    cell: ({ secret }) => <StateOf secret={secret} />,
  },
  {
    id: "type",
    title: "Content type",
    width: "minmax(7rem, 1fr)",
    from: 700,
    sortBy: ({ secret }) => secret.contentType,
    cell: ({ secret }) => <TypeOf secret={secret} />,
  },
  date("updated", "Updated", 560, ({ updateTime }) => updateTime),
  date("created", "Created", 1_550, ({ createTime }) => createTime),
  date("activation", "Activation date", 1_300, ({ notBeforeTime }) => notBeforeTime),
  date("expiration", "Expiration date", 850, ({ expireTime }) => expireTime),
  {
    id: "tags",
    title: "Tags",
    width: "minmax(6rem, 1fr)",
    from: 1_100,
    cell: ({ secret }) => <span title={wordsOfTags(secret.tags)}>{wordsOfTags(secret.tags)}</span>,
  },
  {
    id: "syncers",
    title: "Synced by",
    width: "minmax(7rem, 1.5fr)",
    from: 440,
    sortBy: ({ syncers }) => syncers[0],
    cell: ({ syncers }) => <Syncers ids={syncers} />,
  },
];

function date(id: string, title: string, from: number, timeOf: (secret: VaultSecret) => Timestamp | undefined): Column<VaultRow> {
  return {
    id,
    title,
    from,
    width: "minmax(9rem, 10rem)",
    sortBy: ({ secret }) => {
      const time = timeOf(secret);
      return time && timestampMs(time);
    },
    cell: ({ secret }) => <Time value={timeOf(secret)} />,
  };
}

function StateOf({ secret }: { secret: VaultSecret }): ReactNode {
  const styles = useStyles();
  const validity = validityOf(secret);
  return validity.kind === "valid" ? <span className={styles.muted}>Enabled</span> : <ValidityBadge validity={validity} />;
}

function TypeOf({ secret: { contentType, managed } }: { secret: VaultSecret }): ReactNode {
  const words = wordsOfContentType(contentType, managed);
  return (
    <span className={useStyles().line} title={contentType}>
      {words}
      {managed && (
        <Badge appearance="tint" color="informative" icon={<CertificateRegular />} title="The vault manages it as part of a certificate">
          Managed
        </Badge>
      )}
    </span>
  );
}

/** All of them as links. */
export function Syncers({ ids }: { ids: readonly string[] }): ReactNode {
  const styles = useStyles();
  if (ids.length === 0) {
    return <span className={styles.muted}>Nobody</span>;
  }
  return (
    <span title={ids.join(", ")}>
      {ids.map((id, index) => [
        index > 0 && ", ",
        <Link key={id} to="/secrets/$id" params={{ id }}>
          {id}
        </Link>,
      ])}
    </span>
  );
}
