/** "Synced secret name", and what else belongs to the synced secret: description, labels, type. */
import type { SecretPurpose } from "@iotoperations/secret-service-client";
import { Button, Field, Input, makeStyles, Select, Textarea, tokens } from "@fluentui/react-components";
import { ChevronDownRegular, ChevronRightRegular } from "@fluentui/react-icons";
import { useState, type ReactNode } from "react";

import { Link } from "../../app/navigation";
import { problemOfSyncedSecretName } from "../../references/names";
import { labelsOf, type Form, type FormProblems } from "./form";

const useStyles = makeStyles({
  fields: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, width: "min(36rem, 100%)" },
  toggle: { alignSelf: "flex-start" },
});

/** Types that people give a Secret which no purpose asks for. */
const COMMON_TYPES = ["Opaque", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "kubernetes.io/basic-auth"];

interface NameSectionProps {
  readonly form: Form;
  readonly purpose: SecretPurpose | undefined;
  readonly onChange: (change: Partial<Omit<Form, "purpose" | "references">>) => void;
  readonly isTaken: boolean;
  readonly isProposed: boolean;
  readonly problems: FormProblems;
  readonly checked: boolean;
}

export function NameSection(props: NameSectionProps): ReactNode {
  const { form, onChange, isTaken, isProposed, problems, checked } = props;
  const styles = useStyles();
  const [open, setOpen] = useState(false);
  const invalid = form.name === "" && !checked ? undefined : problemOfSyncedSecretName(form.name);
  const message = isTaken ? (
    <>
      A synced secret has this name. <Link to="/secrets/$id" params={{ id: form.name }}>Look at it</Link>, or choose another name.
    </>
  ) : (
    (invalid ?? problems.name)
  );
  const isOpen = open || problems.labels !== undefined || problems.secretType !== undefined || labelsOf(form.labels).problem !== undefined;
  return (
    <div className={styles.fields}>
      <Field
        label="Synced secret name"
        required
        hint={`The name of the Kubernetes Secret, which resources use.${isProposed && form.name !== "" ? " Proposed from the names in the vault." : ""}`}
        {...(message !== undefined && { validationMessage: message })}
      >
        <Input value={form.name} autoComplete="off" spellCheck={false} onChange={(_, { value }) => onChange({ name: value.trim() })} />
      </Field>
      <Button
        className={styles.toggle}
        appearance="subtle"
        size="small"
        icon={isOpen ? <ChevronDownRegular /> : <ChevronRightRegular />}
        aria-expanded={isOpen}
        onClick={() => setOpen((before) => !before)}
      >
        Description, labels, type
      </Button>
      {isOpen && <More {...props} />}
    </div>
  );
}

function More({ form, purpose, onChange, problems }: NameSectionProps): ReactNode {
  const types = purpose === undefined || purpose.secretTypes.length === 0 ? COMMON_TYPES : purpose.secretTypes;
  const labelProblem = labelsOf(form.labels).problem ?? problems.labels;
  return (
    <>
      <Field label="Description">
        <Input value={form.description} autoComplete="off" onChange={(_, { value }) => onChange({ description: value })} />
      </Field>
      <Field
        label="Labels"
        hint="One a line, as name=value. The Kubernetes Secret gets them, too."
        {...(labelProblem !== undefined && { validationMessage: labelProblem })}
      >
        <Textarea rows={2} value={form.labels} spellCheck={false} onChange={(_, { value }) => onChange({ labels: value })} />
      </Field>
      <Field label="Type of the Kubernetes Secret" {...(problems.secretType !== undefined && { validationMessage: problems.secretType })}>
        <Select value={form.secretType || types[0]} onChange={(_, { value }) => onChange({ secretType: value === types[0] ? "" : value })}>
          {types.map((type) => (
            <option key={type}>{type}</option>
          ))}
        </Select>
      </Field>
    </>
  );
}
