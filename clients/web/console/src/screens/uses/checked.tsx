/** What the service found out about a manifest. */
import { canWork, ConditionStatus, type CheckedResource, type CheckedUsage, type Condition } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular, WarningRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { Empty } from "../../ui/page";
import { Time } from "../../ui/time";
import { namedBy } from "../../ui/usages";
import { verdictOf, type Verdict } from "./verdict";

const useStyles = makeStyles({
  resource: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS, overflowWrap: "anywhere" },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  title: { margin: 0 },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalL },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  muted: { color: tokens.colorNeutralForeground3 },
});

const BADGES = {
  fine: { color: "success", icon: <CheckmarkCircleRegular /> },
  limited: { color: "warning", icon: <WarningRegular /> },
  unknown: { color: "subtle", icon: <QuestionCircleRegular /> },
  broken: { color: "danger", icon: <ErrorCircleRegular /> },
} as const;

export function CheckedResources({ resources, looked }: { resources: readonly CheckedResource[]; looked: Date }): ReactNode {
  const styles = useStyles();
  if (resources.length === 0) {
    return <Empty title="The manifest has no resource." />;
  }
  const broken = resources.filter((resource) => !canWork(resource)).length;
  return (
    <>
      <Text role="status">
        {broken === 0 ? "Nothing is known that keeps it from working" : `${broken} of ${resources.length} can't work`}, as of <Time value={looked} />.
      </Text>
      {resources.map((resource, index) => (
        <section key={index} className={styles.resource}>
          <Checked resource={resource} />
        </section>
      ))}
    </>
  );
}

function Checked({ resource }: { resource: CheckedResource }): ReactNode {
  const styles = useStyles();
  const { kind, namespace, apiVersion, kindUnknown, problems, usages } = resource;
  const { label, look } = verdictOf(resource);
  return (
    <>
      <div className={styles.head}>
        <Subtitle2 as="h3" className={styles.title}>
          {kind} {resource.resource === "" ? "without a name" : resource.resource}
        </Subtitle2>
        <VerdictBadge look={look}>{label}</VerdictBadge>
        <Text size={200} className={styles.muted}>
          {apiVersion}, namespace {namespace}
        </Text>
      </div>
      {problems.map((problem) => (
        <Text key={problem.reason}>{problem.message}</Text>
      ))}
      {kindUnknown && <Text>No rule says which fields of this kind name secrets, so it may name some that are not shown.</Text>}
      {usages.length === 0 && !kindUnknown && <Text>It names no secret.</Text>}
      {usages.length > 0 && (
        <ul className={styles.list}>
          {usages.map((usage, index) => (
            <li key={index}>
              <CheckedField {...usage} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function CheckedField({ usage, problem }: CheckedUsage): ReactNode {
  const styles = useStyles();
  if (usage === undefined) {
    return null;
  }
  const named = namedBy(usage);
  return (
    <>
      <span className={styles.code}>
        {usage.field}: {named === "" ? "(a name that nothing can have is not shown)" : named}
      </span>{" "}
      <VerdictBadge look={lookOf(problem)}>{wordOf(problem)}</VerdictBadge>
      {usage.guessed && " Guessed from the name of the field."}
      {problem !== undefined && <Text block>{problem.message}</Text>}
    </>
  );
}

function VerdictBadge({ look, children }: { look: Verdict["look"]; children: ReactNode }): ReactNode {
  const { color, icon } = BADGES[look];
  return (
    <Badge appearance="tint" color={color} icon={icon}>
      {children}
    </Badge>
  );
}

function lookOf(problem: Condition | undefined): Verdict["look"] {
  if (problem === undefined) {
    return "fine";
  }
  const looks: Partial<Record<ConditionStatus, Verdict["look"]>> = { [ConditionStatus.FALSE]: "broken", [ConditionStatus.TRUE]: "limited" };
  return looks[problem.status] ?? "unknown";
}

function wordOf(problem: Condition | undefined): string {
  const words = { fine: "Fine", broken: "Can't work", limited: "Works for now", unknown: "Unknown" };
  return words[lookOf(problem)];
}
