/** States and conditions, in a word and a colour; never in a colour alone. */
import type { State, SyncedSecret } from "@iotoperations/secret-service-client";
import { Badge } from "@fluentui/react-components";
import {
  ArrowSyncRegular,
  CheckmarkCircleRegular,
  DeleteRegular,
  ErrorCircleRegular,
  QuestionCircleRegular,
  WarningRegular,
} from "@fluentui/react-icons";
import type { ReactElement, ReactNode } from "react";

import { State as States } from "@iotoperations/secret-service-client";
import { isUncompared } from "./standing";
import { wordsOfState } from "./words";

const ICONS: Partial<Record<State, ReactElement>> = {
  [States.PENDING]: <ArrowSyncRegular />,
  [States.SYNCED]: <CheckmarkCircleRegular />,
  [States.DEGRADED]: <WarningRegular />,
  [States.FAILED]: <ErrorCircleRegular />,
  [States.DELETING]: <DeleteRegular />,
};

/** The state of a synced secret. */
export function StateBadge({ state }: { state: State }): ReactNode {
  const { label, meaning, color } = wordsOfState(state);
  return (
    // The browser's own tooltip: Fluent's costs a table of thousands of states its smoothness.
    <Badge appearance="tint" color={color} icon={ICONS[state] ?? <QuestionCircleRegular />} title={meaning}>
      {label}
    </Badge>
  );
}

/** The state of a synced secret; or, where nobody has compared it with the vault for too long, that. */
export function StandingBadge({ secret }: { secret: SyncedSecret }): ReactNode {
  if (!isUncompared(secret)) {
    return <StateBadge state={secret.state} />;
  }
  return (
    <Badge appearance="tint" color="warning" icon={<QuestionCircleRegular />} title="It was in sync, but the edge may hold older versions by now.">
      Not compared
    </Badge>
  );
}
