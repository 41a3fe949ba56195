/** What of the audit is shown: it stands in the address. */
import { Button, Checkbox, Field, Input, makeStyles, Select, tokens } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons";
import { useId, useState, type ReactNode } from "react";

import { usePreferences } from "../../app/preferences";
import type { AuditSearch } from "../../app/search";
import { ASKED_ACTIONS, OUTCOME_NAMES, OWN_ACTIONS, wordsOfAction, wordsOfOutcome } from "../../ui/events";
import { inputOf, isNarrowed, leftOf, SPANS } from "./span";

const useStyles = makeStyles({
  filters: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fill, minmax(min(12rem, 100%), 1fr))",
    alignItems: "end",
    gap: `${tokens.spacingVerticalS} ${tokens.spacingHorizontalM}`,
    "@media (max-width: 640px)": { gridTemplateColumns: "repeat(2, minmax(0, 1fr))" },
  },
  // A select is as wide as its longest option, an input as a text of twenty letters, where nothing says otherwise.
  field: { minWidth: 0, "& > *": { minWidth: 0, width: "100%" }, "& input, & select": { minWidth: 0 } },
  clear: { justifySelf: "start" },
});

/** Changes a part of the filter; what is undefined is taken out. */
export type Change = (change: { readonly [K in keyof AuditSearch]?: AuditSearch[K] | undefined }) => void;

interface FiltersProps {
  readonly search: AuditSearch;
  readonly onChange: Change;
  /** What the loaded events have, to choose from. */
  readonly actors: readonly string[];
  readonly resources: readonly string[];
}

export function Filters({ search, onChange, actors, resources }: FiltersProps): ReactNode {
  const styles = useStyles();
  const { resource, actor, action, outcome, failed } = search;
  const clear = (): void =>
    onChange({ resource: undefined, actor: undefined, action: undefined, outcome: undefined, failed: undefined, hours: undefined, from: undefined, until: undefined });
  return (
    <div role="search" aria-label="Filters" className={styles.filters}>
      <TimespanField search={search} onChange={onChange} />
      <ExactField
        key={`resource ${resource ?? ""}`}
        label="Resource"
        placeholder="syncedSecrets/edp1secrets"
        value={resource}
        choices={resources}
        onChange={(value) => onChange({ resource: value && (value.includes("/") || value === "vault" ? value : `syncedSecrets/${value}`) })}
      />
      <ExactField
        key={`actor ${actor ?? ""}`}
        label="Actor"
        placeholder="exactly as it is shown"
        value={actor}
        choices={actors}
        onChange={(value) => onChange({ actor: value })}
      />
      <Field label="Action" className={styles.field}>
        <Select value={action ?? ""} onChange={(_, { value }) => onChange({ action: value || undefined })}>
          <option value="">All</option>
          {action !== undefined && ![...ASKED_ACTIONS, ...OWN_ACTIONS].includes(action) && <option value={action}>{action}</option>}
          <Actions label="Asked for by a caller" actions={ASKED_ACTIONS} />
          <Actions label="By the service itself" actions={OWN_ACTIONS} />
        </Select>
      </Field>
      <Field label="Outcome" className={styles.field}>
        <Select value={outcome ?? ""} onChange={(_, { value }) => onChange({ outcome: value || undefined, failed: undefined })}>
          <option value="">All</option>
          {outcome !== undefined && !OUTCOME_NAMES.includes(outcome) && <option value={outcome}>{wordsOfOutcome(outcome)}</option>}
          {OUTCOME_NAMES.map((name) => (
            <option key={name} value={name}>
              {wordsOfOutcome(name)} ({name})
            </option>
          ))}
        </Select>
      </Field>
      <Checkbox
        label="Failed only"
        checked={failed === true}
        onChange={(_, { checked }) => onChange({ failed: checked === true ? true : undefined, outcome: undefined })}
      />
      {isNarrowed(search) && (
        <Button appearance="subtle" icon={<DismissRegular />} className={styles.clear} onClick={clear}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

function Actions({ label, actions }: { label: string; actions: readonly string[] }): ReactNode {
  return (
    <optgroup label={label}>
      {actions.map((action) => (
        <option key={action} value={action}>
          {wordsOfAction(action)}
        </option>
      ))}
    </optgroup>
  );
}

const FROM_UNTIL = "from-until";

/** The portal's word for it. */
function TimespanField({ search, onChange }: Pick<FiltersProps, "search" | "onChange">): ReactNode {
  const styles = useStyles();
  const { timeZone } = usePreferences();
  const { hours, from, until } = search;
  const isGiven = from !== undefined || until !== undefined;
  const [isOpen, setOpen] = useState(isGiven);
  const zone = timeZone === "utc" ? "UTC" : "local time";
  const choose = (value: string): void => {
    setOpen(value === FROM_UNTIL);
    if (value !== FROM_UNTIL) {
      onChange({ hours: value === "" ? undefined : Number(value), from: undefined, until: undefined });
    } else {
      onChange({ hours: undefined });
    }
  };
  return (
    <>
      <Field label="Timespan" className={styles.field}>
        <Select value={isGiven || isOpen ? FROM_UNTIL : String(hours ?? "")} onChange={(_, { value }) => choose(value)}>
          <option value="">All</option>
          {SPANS.map(([span, words]) => (
            <option key={span} value={String(span)}>
              {words}
            </option>
          ))}
          {hours !== undefined && !SPANS.some(([span]) => span === hours) && <option value={String(hours)}>Last {hours} hours</option>}
          <option value={FROM_UNTIL}>From – until</option>
        </Select>
      </Field>
      {(isGiven || isOpen) && (
        <>
          <Field label={`From (${zone})`} className={styles.field}>
            <Input
              key={`${from ?? ""} ${timeZone}`}
              type="datetime-local"
              defaultValue={inputOf(from, timeZone)}
              onBlur={({ target }) => onChange({ from: leftOf(target.value, from, timeZone) })}
            />
          </Field>
          <Field label={`Until (${zone})`} className={styles.field}>
            <Input
              key={`${until ?? ""} ${timeZone}`}
              type="datetime-local"
              defaultValue={inputOf(until, timeZone)}
              onBlur={({ target }) => onChange({ until: leftOf(target.value, until, timeZone) })}
            />
          </Field>
        </>
      )}
    </>
  );
}

interface ExactFieldProps {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string | undefined;
  readonly choices: readonly string[];
  readonly onChange: (value: string | undefined) => void;
}

/** The service compares exactly, so that it is asked only when the text is complete. */
function ExactField({ label, placeholder, value = "", choices, onChange }: ExactFieldProps): ReactNode {
  const styles = useStyles();
  const list = useId();
  const take = (text: string): void => {
    if (text.trim() !== value) {
      onChange(text.trim() || undefined);
    }
  };
  return (
    <Field label={label} className={styles.field}>
      <Input
        input={{ list }}
        placeholder={placeholder}
        defaultValue={value}
        contentAfter={
          <datalist id={list}>
            {choices.map((choice) => (
              <option key={choice} value={choice} />
            ))}
          </datalist>
        }
        onBlur={({ target }) => take(target.value)}
        onKeyDown={(event) => event.key === "Enter" && take(event.currentTarget.value)}
        onChange={(_, { value: text }) => choices.includes(text) && take(text)}
      />
    </Field>
  );
}
