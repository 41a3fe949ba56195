/** How an event of the audit ended, in a word, a colour and an icon. */
import { Badge, Tooltip, type BadgeProps } from "@fluentui/react-components";
import { ArrowSyncRegular, CheckmarkCircleRegular, ErrorCircleRegular, ProhibitedRegular } from "@fluentui/react-icons";
import type { ReactElement, ReactNode } from "react";

import { kindOfOutcome, wordsOfOutcome, type OutcomeKind } from "./events";

const LOOKS: Readonly<Record<OutcomeKind, readonly [NonNullable<BadgeProps["color"]>, ReactElement]>> = {
  done: ["success", <CheckmarkCircleRegular key="done" />],
  begun: ["informative", <ArrowSyncRegular key="begun" />],
  denied: ["danger", <ProhibitedRegular key="denied" />],
  failed: ["danger", <ErrorCircleRegular key="failed" />],
};

/** The code stands in the tooltip. */
export function OutcomeBadge({ outcome }: { outcome: string }): ReactNode {
  const [color, icon] = LOOKS[kindOfOutcome(outcome)];
  return (
    <Tooltip content={outcome} relationship="description">
      <Badge appearance="tint" color={color} icon={icon}>
        {wordsOfOutcome(outcome)}
      </Badge>
    </Tooltip>
  );
}
