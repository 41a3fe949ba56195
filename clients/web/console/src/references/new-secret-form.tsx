/** What is in the dialog "Create new". */
import { Encoding } from "@iotoperations/secret-service-client";
import {
  Button,
  Checkbox,
  Field,
  Input,
  makeStyles,
  Radio,
  RadioGroup,
  Select,
  Spinner,
  Textarea,
  tokens,
} from "@fluentui/react-components";
import { ChevronDownRegular, ChevronRightRegular } from "@fluentui/react-icons";
import { useEffect, useEffectEvent, useRef, useState, type ReactNode } from "react";

import { usePreferences, type TimeZone } from "../app/preferences";
import { CloseButton, DialogInside } from "../ui/dialog";
import { Problem } from "../ui/problem";
import { chosen } from "./choice";
import { DateField } from "./date-field";
import type { NewSecretDialogProps } from "./new-secret-dialog";
import { encodingsFor } from "./secret-draft";
import { SecretNameField } from "./secret-name-field";
import { useNewSecret, type NewSecret } from "./use-new-secret";
import type { ValueFieldHandle } from "./use-value";
import { ValueField } from "./value-field";

const DAY_MS = 86_400_000;

const useStyles = makeStyles({
  fields: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, paddingBlock: tokens.spacingVerticalS },
  advanced: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, paddingInlineStart: tokens.spacingHorizontalXXL },
  toggle: { alignSelf: "flex-start" },
});

interface NewSecretFormProps extends NewSecretDialogProps {
  /** Whether what was entered is being handed over. */
  readonly busy: boolean;
  readonly onBusy: (busy: boolean) => void;
}

export function NewSecretForm({ busy, onBusy, ...props }: NewSecretFormProps): ReactNode {
  const { use, onClose, onSubmit, onUseExisting, multiline = false, vaultSecret = "", initial } = props;
  const styles = useStyles();
  const secret = useNewSecret(props);
  const valueField = useRef<ValueFieldHandle>(null);
  const [error, setError] = useState<unknown>();
  // Whoever goes on while the name is being checked does so as soon as that is over; with what stood there then, and nothing else.
  const wished = useRef<object>(undefined);
  const isChecking = secret.nameState.state === "checking";
  const submit = async (): Promise<void> => {
    wished.current = isChecking ? secret.entered : undefined;
    const draft = secret.checked();
    if (draft === undefined || busy) {
      return;
    }
    setError(undefined);
    onBusy(true);
    try {
      await onSubmit(draft);
      valueField.current?.clear();
      onClose();
    } catch (failure) {
      setError(failure);
      onBusy(false);
    }
  };

  const goOn = useEffectEvent(() => wished.current === secret.entered && void submit());
  useEffect(() => {
    if (!isChecking) {
      goOn();
    }
  }, [isChecking]);
  // Not before it is gone: what was handed over isn't once more while the dialog goes away.
  useEffect(() => () => onBusy(false), [onBusy]);

  return (
    <DialogInside
      title={titleOf(props)}
      onSubmit={() => void submit()}
      actions={
        <>
          <CloseButton>Cancel</CloseButton>
          <Button type="submit" appearance="primary" disabledFocusable={busy} icon={busy ? <Spinner size="tiny" /> : null}>
            {use === "reference" ? "Add" : use === "version" ? `Add a version to ${vaultSecret}` : "Create in Azure Key Vault"}
          </Button>
        </>
      }
    >
      <div className={styles.fields}>
        {use !== "version" && (
          <SecretNameField
            name={secret.fields.name}
            state={secret.nameState}
            checked={secret.isChecked}
            onChange={(name) => secret.change({ name })}
            onUseExisting={onUseExisting}
          />
        )}
        <ValueField
          ref={valueField}
          label="Secret value"
          required={initial === undefined}
          multiline={multiline}
          onChange={secret.changeValue}
          problem={secret.isChecked && secret.isEmpty ? "Give it a value." : undefined}
          {...(initial !== undefined && { hint: "The value that was given before stays, where no other is given." })}
        />
        <Dates secret={secret} />
        {use === "version" && (
          <Checkbox
            label={`Keep the dates of the version before, except those that are set here`}
            checked={secret.fields.keepDates}
            onChange={(_, { checked }) => secret.change({ keepDates: checked === true })}
          />
        )}
        <Advanced secret={secret} isVersion={use === "version"} />
        {error !== undefined && <Problem error={error} />}
      </div>
    </DialogInside>
  );
}

function titleOf({ use, title, vaultSecret = "" }: NewSecretDialogProps): string {
  switch (use) {
    case "reference":
      return title === undefined || title === "" ? "Create new" : `Create new: ${title}`;
    case "vault-secret":
      return "New vault secret";
    case "version":
      return `New version of ${vaultSecret}`;
  }
}

function Dates({ secret }: { secret: NewSecret }): ReactNode {
  const { timeZone } = usePreferences();
  const [zone, setZone] = useState<TimeZone>(timeZone);
  const { fields, change, dates } = secret;
  return (
    <>
      <DateField
        label="Set activation date"
        name="Activation date"
        value={fields.activation}
        zone={zone}
        onChange={(activation) => change({ activation })}
        begin={() => inDays(0)}
      />
      <DateField
        label="Set expiration date"
        name="Expiration date"
        value={fields.expiration}
        zone={zone}
        onChange={(expiration) => change({ expiration })}
        begin={() => inDays(365)}
        error={dates.error}
        warning={dates.warning}
      />
      {(fields.activation !== undefined || fields.expiration !== undefined) && (
        <Field label="Dates are entered in">
          <RadioGroup layout="horizontal" value={zone} onChange={(_, { value }) => setZone(value as TimeZone)}>
            <Radio value="local" label={`Local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})`} />
            <Radio value="utc" label="UTC" />
          </RadioGroup>
        </Field>
      )}
    </>
  );
}

/** The start of the minute so many days from now. */
function inDays(days: number): Date {
  return new Date(Math.floor((Date.now() + days * DAY_MS) / 60_000) * 60_000);
}

function Advanced({ secret, isVersion }: { secret: NewSecret; isVersion: boolean }): ReactNode {
  const styles = useStyles();
  const { fields, change, value } = secret;
  const encodings = encodingsFor(value);
  const [open, setOpen] = useState(fields.contentType !== "" || fields.tags !== "");
  const kept = isVersion ? " Where left out, as the version before." : "";
  const isShown = open || secret.tagProblem !== undefined;
  return (
    <>
      <Button
        className={styles.toggle}
        appearance="subtle"
        size="small"
        icon={isShown ? <ChevronDownRegular /> : <ChevronRightRegular />}
        aria-expanded={isShown}
        onClick={() => setOpen((before) => !before)}
      >
        Advanced
      </Button>
      {isShown && (
        <div className={styles.advanced}>
          <Field label="Content type" hint={`What the value is, for people and tools, such as text/plain.${kept}`}>
            <Input value={fields.contentType} autoComplete="off" onChange={(_, { value: text }) => change({ contentType: text })} />
          </Field>
          <Field
            label="Tags"
            hint={`One a line, as name=value.${kept}`}
            {...(secret.tagProblem !== undefined && { validationMessage: secret.tagProblem })}
          >
            <Textarea rows={2} value={fields.tags} spellCheck={false} onChange={(_, { value: text }) => change({ tags: text })} />
          </Field>
          <Field
            label="How the vault keeps it"
            hint="The vault keeps text alone. The tag file-encoding says how, and the edge gets the value itself."
          >
            <Select value={fields.encoding} onChange={(_, { value: text }) => change({ encoding: chosen(encodings, text) ?? Encoding.UNSPECIFIED })}>
              {encodings.map(([encoding, words]) => (
                <option key={encoding} value={encoding}>
                  {words}
                </option>
              ))}
            </Select>
          </Field>
        </div>
      )}
    </>
  );
}
