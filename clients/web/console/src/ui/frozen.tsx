/** Fields that nobody can change while what they say is being done: it would be lost, or told of what was done. */
import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

const useStyles = makeStyles({
  fields: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, margin: 0, padding: 0, border: 0, minWidth: 0 },
});

export function Frozen({ when, className, children }: { when: boolean; className?: string; children: ReactNode }): ReactNode {
  return (
    <fieldset className={mergeClasses(useStyles().fields, className)} disabled={when}>
      {children}
    </fieldset>
  );
}
