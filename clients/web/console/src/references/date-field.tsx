/** "Set activation date", "Set expiration date": a switch and, once it is on, a point in time in the zone that was chosen. */
import { Checkbox, Field, Input, makeStyles, mergeClasses, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import type { TimeZone } from "../app/preferences";
import { absolute, distanceOf } from "../ui/time";
import { instantOf, textOfInstant } from "./instants";

const useStyles = makeStyles({
  date: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalXS },
  field: { paddingInlineStart: tokens.spacingHorizontalXXL },
  both: { color: tokens.colorNeutralForeground3 },
});

interface DateFieldProps {
  /** The words of the switch. */
  readonly label: string;
  /** The words of the field. */
  readonly name: string;
  /** `null`: it is switched on, and no point in time is entered. */
  readonly value: Date | null | undefined;
  readonly zone: TimeZone;
  readonly onChange: (value: Date | null | undefined) => void;
  readonly error?: string | undefined;
  readonly warning?: string | undefined;
  /** With which point in time it begins once it is switched on. */
  readonly begin: () => Date;
}

export function DateField({ label, name, value, zone, onChange, error, warning, begin }: DateFieldProps): ReactNode {
  const styles = useStyles();
  const on = value !== undefined;
  return (
    <div className={styles.date}>
      <Checkbox
        label={label}
        checked={on}
        onChange={(_, { checked }) => onChange(checked === true ? begin() : undefined)}
      />
      {on && (
        <Field
          className={styles.field}
          label={`${name} (${zone === "utc" ? "UTC" : "local time"})`}
          {...(error !== undefined
            ? { validationMessage: error, validationState: "error" as const }
            : value === null
              ? { validationMessage: "Say when.", validationState: "error" as const }
              : warning !== undefined && { validationMessage: warning, validationState: "warning" as const })}
        >
          <Input
            type="datetime-local"
            value={textOfInstant(value ?? undefined, zone)}
            onChange={(_, { value: text }) => onChange(instantOf(text, zone) ?? null)}
          />
        </Field>
      )}
      {on && value !== null && (
        <Text size={200} className={mergeClasses(styles.field, styles.both)}>
          {absolute(value, "local")} local · {absolute(value, "utc")} · {distanceOf(value)}
        </Text>
      )}
    </div>
  );
}
