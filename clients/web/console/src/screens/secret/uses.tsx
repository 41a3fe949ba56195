/** Every field that names it, the broken ones first, with the text that stands in it. */
import { conditionOf, ConditionStatus, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, mergeClasses, MessageBar, MessageBarBody, MessageBarTitle, Text, tokens } from "@fluentui/react-components";
import { ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { LinkButton } from "../../app/navigation";
import { CopyText } from "../../ui/copy";
import { Section } from "../../ui/page";
import { Time } from "../../ui/time";
import { inOrder, isBroken, namedBy, ownerOf, problemOfUsage } from "../../ui/usages";

const useStyles = makeStyles({
  list: { display: "grid", gap: tokens.spacingVerticalS, margin: 0, padding: 0, listStyleType: "none" },
  item: {
    display: "grid",
    gridTemplateColumns: "minmax(12rem, 1fr) minmax(16rem, 2fr) minmax(12rem, max-content)",
    alignItems: "center",
    gap: `${tokens.spacingVerticalXXS} ${tokens.spacingHorizontalL}`,
    padding: tokens.spacingHorizontalM,
    overflowWrap: "anywhere",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
    "@media (max-width: 900px)": { gridTemplateColumns: "minmax(0, 1fr)" },
  },
  broken: { boxShadow: `inset 4px 0 0 ${tokens.colorStatusDangerBorder2}` },
  who: { display: "flex", flexDirection: "column", alignItems: "flex-start", gap: tokens.spacingVerticalXXS, minWidth: 0 },
  muted: { color: tokens.colorNeutralForeground3 },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  all: { gridColumnStart: 1, gridColumnEnd: -1 },
});

export function Uses({ secret, lookedAt }: { secret: SyncedSecret; lookedAt: number }): ReactNode {
  const styles = useStyles();
  const inUse = conditionOf(secret, "InUse");
  const isUnknown = inUse === undefined || inUse.status === ConditionStatus.UNKNOWN;
  return (
    <Section title="Uses" actions={<LinkButton to="/uses">All uses</LinkButton>}>
      {isUnknown && (
        <MessageBar intent="warning" layout="multiline">
          <MessageBarBody>
            <MessageBarTitle>Maybe not all that use it are known.</MessageBarTitle>{" "}
            {inUse?.message ?? "The service has not looked yet."}
          </MessageBarBody>
        </MessageBar>
      )}
      {secret.usages.length === 0 && !isUnknown && (
        <Text>
          No resource names it. To use it, paste the name of a key, such as <CopyText text={exampleOf(secret)} />, into a resource's field.
        </Text>
      )}
      <ul className={styles.list}>
        {inOrder(secret.usages).map((usage) => (
          <Use key={`${usage.apiVersion} ${ownerOf(usage)} ${usage.namespace} ${usage.field}`} usage={usage} />
        ))}
      </ul>
      <Text size={200} className={styles.muted}>
        The resources of the cluster, as the service knew them <Time value={new Date(lookedAt)} />.
      </Text>
    </Section>
  );
}

function Use({ usage }: { usage: SecretUsage }): ReactNode {
  const styles = useStyles();
  const broken = isBroken(usage);
  const problem = problemOfUsage(usage);
  return (
    <li className={mergeClasses(styles.item, broken && styles.broken)}>
      <span className={styles.who}>
        <Text weight="semibold">{ownerOf(usage)}</Text>
        {broken && (
          <Badge appearance="tint" color="danger" icon={<ErrorCircleRegular />}>
            Broken
          </Badge>
        )}
        {usage.guessed && (
          <Badge appearance="tint" color="subtle" icon={<QuestionCircleRegular />}>
            Guessed from the field's name
          </Badge>
        )}
      </span>
      <Text className={mergeClasses(styles.code, styles.muted)}>{usage.field}</Text>
      <CopyText text={namedBy(usage)} />
      {problem !== "" && <Text className={styles.all}>{problem}</Text>}
    </li>
  );
}

/** What a field could name. */
function exampleOf({ name, references }: SyncedSecret): string {
  const id = name.replace(/^syncedSecrets\//, "");
  const key = references[0]?.key;
  return key === undefined ? id : `${id}/${key}`;
}
