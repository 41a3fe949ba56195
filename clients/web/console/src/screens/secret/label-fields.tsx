/** Labels, a row for each. */
import { Button, Field, Input, makeStyles, tokens } from "@fluentui/react-components";
import { AddRegular, DismissRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import type { LabelRow } from "./draft";

const useStyles = makeStyles({
  rows: { display: "flex", flexDirection: "column", alignItems: "flex-start", gap: tokens.spacingVerticalXS },
  row: { display: "flex", gap: tokens.spacingHorizontalXS, width: "100%", maxWidth: "36rem" },
  input: { flexGrow: 1, minWidth: 0, flexBasis: 0 },
});

interface LabelFieldsProps {
  readonly rows: readonly LabelRow[];
  readonly problem: string | undefined;
  readonly onChange: (rows: LabelRow[]) => void;
}

export function LabelFields({ rows, problem, onChange }: LabelFieldsProps): ReactNode {
  const styles = useStyles();
  return (
    <Field label="Labels" {...(problem !== undefined && { validationMessage: problem })}>
      <div className={styles.rows} role="group" aria-label="Labels">
        {rows.map((row, index) => (
          <div key={index} className={styles.row}>
            <Input
              className={styles.input}
              aria-label={`Name of label ${index + 1}`}
              placeholder="Name"
              value={row.name}
              onChange={(_, { value }) => onChange(rows.with(index, { ...row, name: value }))}
            />
            <Input
              className={styles.input}
              aria-label={`Value of label ${index + 1}`}
              placeholder="Value"
              value={row.value}
              onChange={(_, { value }) => onChange(rows.with(index, { ...row, value }))}
            />
            <Button
              appearance="subtle"
              icon={<DismissRegular />}
              aria-label={`Remove label ${row.name === "" ? index + 1 : row.name}`}
              onClick={() => onChange(rows.toSpliced(index, 1))}
            />
          </div>
        ))}
        <Button size="small" icon={<AddRegular />} onClick={() => onChange([...rows, { name: "", value: "" }])}>
          Add label
        </Button>
      </div>
    </Field>
  );
}
