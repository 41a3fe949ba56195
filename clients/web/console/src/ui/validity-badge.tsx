/** Whether a version or a certificate counts now, in a word and a colour. */
import { Badge, type BadgeProps } from "@fluentui/react-components";
import { CalendarClockRegular, ClockRegular, ErrorCircleRegular, ProhibitedRegular } from "@fluentui/react-icons";
import type { ReactElement, ReactNode } from "react";

import type { Validity, ValidityKind } from "./validity";

const LOOKS: Partial<Record<ValidityKind, { readonly color: NonNullable<BadgeProps["color"]>; readonly icon: ReactElement }>> = {
  disabled: { color: "subtle", icon: <ProhibitedRegular /> },
  expired: { color: "danger", icon: <ErrorCircleRegular /> },
  soon: { color: "warning", icon: <CalendarClockRegular /> },
  early: { color: "informative", icon: <ClockRegular /> },
};

/** Nothing where all is well. */
export function ValidityBadge({ validity: { kind, label } }: { validity: Validity }): ReactNode {
  const look = LOOKS[kind];
  return (
    look && (
      <Badge appearance="tint" color={look.color} icon={look.icon}>
        {label}
      </Badge>
    )
  );
}
