/** The conditions: what is so, since when, why, and what to do. */
import type { SyncedSecret } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, InfoRegular, QuestionCircleRegular, WarningRegular } from "@fluentui/react-icons";
import type { ReactElement, ReactNode } from "react";

import { Section } from "../../ui/page";
import { Time } from "../../ui/time";
import { inOrderOfNeed, standing, wordsOfCondition } from "./conditions";

const TONES: Readonly<Record<ReturnType<typeof standing>["tone"], readonly ["success" | "warning" | "informative" | "subtle", ReactElement]>> = {
  good: ["success", <CheckmarkCircleRegular key="good" />],
  bad: ["warning", <WarningRegular key="bad" />],
  neutral: ["informative", <InfoRegular key="neutral" />],
  unknown: ["subtle", <QuestionCircleRegular key="unknown" />],
};

const useStyles = makeStyles({
  list: { display: "grid", gap: tokens.spacingVerticalM, margin: 0, padding: 0, listStyleType: "none" },
  item: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalXXS, overflowWrap: "anywhere" },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  muted: { color: tokens.colorNeutralForeground3 },
});

export function Conditions({ secret, lookedAt }: { secret: SyncedSecret; lookedAt: number }): ReactNode {
  const styles = useStyles();
  return (
    <Section title="Conditions">
      {secret.conditions.length === 0 && <Text>The service has not looked at it yet.</Text>}
      <ul className={styles.list}>
        {inOrderOfNeed(secret.conditions).map((condition) => {
          const { label, tone } = standing(condition);
          const [color, icon] = TONES[tone];
          return (
            <li key={condition.type} className={styles.item}>
              <span className={styles.head}>
                <Text weight="semibold">{wordsOfCondition(condition).title}</Text>
                <Badge appearance="tint" color={color} icon={icon}>
                  {label}
                </Badge>
                <Text size={200} className={styles.muted}>
                  {condition.type} · {condition.reason}
                  {condition.lastTransitionTime !== undefined && (
                    <>
                      {" "}
                      · since <Time value={condition.lastTransitionTime} />
                    </>
                  )}
                </Text>
              </span>
              <Text>{condition.message}</Text>
            </li>
          );
        })}
      </ul>
      <Text size={200} className={styles.muted}>
        As the service said <Time value={new Date(lookedAt)} />.{" "}
        {secret.syncTime === undefined ? (
          "The edge was never found in sync."
        ) : (
          <>
            The edge was last found in sync <Time value={secret.syncTime} />.
          </>
        )}
      </Text>
    </Section>
  );
}
