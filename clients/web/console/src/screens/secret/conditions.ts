/** Conditions in words. */
import { ConditionStatus, type Condition } from "@iotoperations/secret-service-client";

interface Words {
  readonly title: string;
  /** The status that is worth a look; none where both are well. */
  readonly bad?: ConditionStatus;
}

const WORDS: Readonly<Record<string, Words>> = {
  Synced: { title: "At the edge as the references say", bad: ConditionStatus.FALSE },
  InUse: { title: "In use" },
  Expiring: { title: "Expires soon, or has expired", bad: ConditionStatus.TRUE },
  NotYetValid: { title: "Not valid yet", bad: ConditionStatus.TRUE },
  Compared: { title: "Compared with the vault lately", bad: ConditionStatus.FALSE },
  Encoded: { title: "Encoded as the tags of the vault secrets say", bad: ConditionStatus.FALSE },
};

export function wordsOfCondition({ type }: Condition): Words {
  return WORDS[type] ?? { title: type };
}

/** How it stands: in a word, and whether it is worth a look. */
export function standing(condition: Condition): { label: string; tone: "good" | "bad" | "neutral" | "unknown" } {
  const { bad } = wordsOfCondition(condition);
  if (condition.status !== ConditionStatus.TRUE && condition.status !== ConditionStatus.FALSE) {
    return { label: "Unknown", tone: "unknown" };
  }
  const label = condition.status === ConditionStatus.TRUE ? "Yes" : "No";
  return { label, tone: bad === undefined || !(condition.type in WORDS) ? "neutral" : condition.status === bad ? "bad" : "good" };
}

/** What is worth a look comes first. */
export function inOrderOfNeed(conditions: readonly Condition[]): Condition[] {
  const rank = { bad: 0, unknown: 1, good: 2, neutral: 3 };
  return conditions.toSorted((one, other) => rank[standing(one).tone] - rank[standing(other).tone]);
}
