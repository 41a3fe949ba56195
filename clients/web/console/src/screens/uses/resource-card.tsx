/** A resource, its fields, and what to do where they name what is not there. */
import { idOf, NotFoundError, type SecretUsage } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { useLiveSecrets, useVaultSecret } from "../../api/hooks";
import { Link } from "../../app/navigation";
import { CopyText } from "../../ui/copy";
import { isBroken, isKnownToBeThere } from "../../ui/usages";
import { count } from "../../ui/words";
import { canBeVaultSecret, problemOf, textOf, type Resource } from "./resources";

const NARROW = "@media (max-width: 900px)";

const useStyles = makeStyles({
  card: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalM,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    overflowWrap: "anywhere",
  },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  title: { margin: 0 },
  muted: { color: tokens.colorNeutralForeground3 },
  fields: { margin: 0, padding: 0, listStyleType: "none" },
  field: {
    display: "grid",
    gridTemplateColumns: "minmax(12rem, 3fr) minmax(10rem, 2fr) 9rem",
    alignItems: "center",
    columnGap: tokens.spacingHorizontalM,
    borderTop: `1px solid ${tokens.colorNeutralStroke3}`,
    paddingBlock: tokens.spacingVerticalXS,
    [NARROW]: { gridTemplateColumns: "minmax(0, 1fr)" },
  },
  path: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  remedy: { gridColumn: "1 / -1" },
});

export function ResourceCard({ resource }: { resource: Resource }): ReactNode {
  const styles = useStyles();
  const { apiVersion, kind, namespace, name, usages, broken } = resource;
  return (
    <article className={styles.card} aria-label={`${kind} ${name}`}>
      <div className={styles.head}>
        <Subtitle2 as="h2" className={styles.title}>
          {kind} {name}
        </Subtitle2>
        {broken > 0 && (
          <Badge appearance="tint" color="danger" icon={<ErrorCircleRegular />}>
            {count(broken, "broken field")}
          </Badge>
        )}
        <Text size={200} className={styles.muted}>
          {apiVersion}
          {namespace !== "" && `, namespace ${namespace}`}
        </Text>
      </div>
      <ul className={styles.fields}>
        {usages.map((usage) => (
          <li key={usage.field + usage.syncedSecret + usage.key} className={styles.field}>
            <Field usage={usage} />
          </li>
        ))}
      </ul>
    </article>
  );
}

function Field({ usage }: { usage: SecretUsage }): ReactNode {
  const styles = useStyles();
  const text = textOf(usage);
  return (
    <>
      <span>
        <span className={styles.path}>{usage.field}</span>
        {usage.guessed && (
          <Text size={200} block className={styles.muted}>
            Guessed: only the name of the field suggests that it names a secret.
          </Text>
        )}
      </span>
      <span>
        <CopyText text={text} label={`Copy ${text}`} />
        {usage.key !== "" && !text.includes("/") && (
          <Text size={200} block className={styles.muted}>
            key {usage.key}
          </Text>
        )}
      </span>
      <span>
        <UsageBadge usage={usage} />
      </span>
      {isBroken(usage) ? (
        <Text size={300} className={styles.remedy}>
          {problemOf(usage)} <Remedy usage={usage} />
        </Text>
      ) : null}
    </>
  );
}

function UsageBadge({ usage }: { usage: SecretUsage }): ReactNode {
  const { byName } = useLiveSecrets();
  if (isBroken(usage)) {
    return (
      <Badge appearance="tint" color="danger" icon={<ErrorCircleRegular />}>
        {usage.secretMissing ? "Secret missing" : "Key missing"}
      </Badge>
    );
  }
  const isThere = isKnownToBeThere(usage, byName);
  return (
    <>
      <Badge
        appearance="tint"
        color={isThere ? "success" : "subtle"}
        icon={isThere ? <CheckmarkCircleRegular /> : <QuestionCircleRegular />}
      >
        {isThere ? "There" : "Not known to be missing"}
      </Badge>{" "}
      <Show name={usage.syncedSecret} />
    </>
  );
}

/** The way to the synced secret; a Secret at the edge need not be one. */
function Show({ name }: { name: string }): ReactNode {
  const styles = useStyles();
  const { byName, heard } = useLiveSecrets();
  const id = idOf(name);
  if (heard > 0 && !byName.has(name)) {
    return (
      <Text size={200} block className={styles.muted}>
        No synced secret: another tool made it, or the service has not looked yet.
      </Text>
    );
  }
  return (
    <Link to="/secrets/$id" params={{ id }} aria-label={`Show ${id}`}>
      Show
    </Link>
  );
}

/** What makes the field right. */
function Remedy({ usage }: { usage: SecretUsage }): ReactNode {
  const id = idOf(usage.syncedSecret);
  if (!usage.secretMissing) {
    return <Show name={usage.syncedSecret} />;
  }
  return canBeVaultSecret(id) ? <VaultRemedy id={id} /> : <Create id={id} />;
}

/** Whoever names the vault's secret in the place of the synced one is told so. */
function VaultRemedy({ id }: { id: string }): ReactNode {
  const { data, error } = useVaultSecret(id);
  if (data !== undefined) {
    return (
      <>
        {id} is a secret in the vault, and none at the edge:{" "}
        <Link to="/new" search={{ vaultSecret: [id] }}>
          sync it
        </Link>
        , and name the synced secret in the field.
      </>
    );
  }
  return (
    <>
      {error !== null && !(error instanceof NotFoundError) && "Whether the vault has a secret of this name is not known. "}
      <Create id={id} />
    </>
  );
}

function Create({ id }: { id: string }): ReactNode {
  return (
    <>
      <Link to="/new">Create it</Link> with the name {id}, or correct the field.
    </>
  );
}
