/** A step of what has been done. */
import { makeStyles, tokens } from "@fluentui/react-components";
import type { ReactElement, ReactNode } from "react";

const useStyles = makeStyles({
  step: { display: "flex", alignItems: "flex-start", gap: tokens.spacingHorizontalS, overflowWrap: "anywhere", "& svg": { fontSize: "20px", flexShrink: 0 } },
});

export function Step({ icon, children }: { icon: ReactElement; children: ReactNode }): ReactNode {
  return (
    <li className={useStyles().step}>
      {icon}
      <span>{children}</span>
    </li>
  );
}
