/** Adds a reference to an edit, or changes one: where its value comes from, which version, and what is taken of it. */
import { Encoding, idOf, Part, type Reference } from "@iotoperations/secret-service-client";
import { Button, Field, Input, makeStyles, Text, tokens } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

import { problemOfKey, proposedVaultSecretName } from "../../references/names";
import { NewSecretDialog } from "../../references/new-secret-dialog";
import { PickOptions } from "../../references/pick-options";
import { newReferenceOf, type NewSecretDraft } from "../../references/secret-draft";
import { pickedReferenceOf, type VaultPick } from "../../references/vault-pick";
import { VaultPickerDialog } from "../../references/vault-picker";
import { CloseButton, Dialog } from "../../ui/dialog";
import { grouped } from "../../ui/words";

const useStyles = makeStyles({
  content: { overflowWrap: "anywhere", "& > *": { flexShrink: 0 } },
  buttons: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
});

/** Where the value comes from. */
type Source = { readonly kind: "pick"; readonly pick: VaultPick } | { readonly kind: "new"; readonly draft: NewSecretDraft };

interface ReferenceDialogProps {
  /** The id of the synced secret, for proposals. */
  readonly id: string;
  /** The one to change; a new one where left out. */
  readonly reference?: Reference | undefined;
  readonly takenKeys: readonly string[];
  readonly onClose: () => void;
  readonly onSubmit: (reference: Reference) => void;
}

export function ReferenceDialog({ id, reference, takenKeys, onClose, onSubmit }: ReferenceDialogProps): ReactNode {
  const styles = useStyles();
  const [key, setKey] = useState(reference?.key ?? "");
  const [source, setSource] = useState(() => sourceOf(reference));
  const [isChecked, setChecked] = useState(false);
  const [front, setFront] = useState<"new" | "pick">();
  const keyProblem = reference === undefined ? problemOfKey(key, takenKeys) : undefined;
  const submit = (): void => {
    setChecked(true);
    if (keyProblem === undefined && source !== undefined) {
      onSubmit(referenceFrom(key, source));
    }
  };
  return (
    <Dialog
      onClose={onClose}
      stays
      title={reference === undefined ? "Add reference" : `Change ${reference.key}`}
      className={styles.content}
      actions={
        <>
          <CloseButton>Cancel</CloseButton>
          <Button appearance="primary" onClick={submit}>
            Continue
          </Button>
        </>
      }
    >
      {reference === undefined && (
        <Field
          label="Key"
          required
          hint={`Resources name it as ${id}/${key === "" ? "KEY" : key}.`}
          {...(isChecked && keyProblem !== undefined && { validationMessage: keyProblem })}
        >
          <Input value={key} onChange={(_, { value }) => setKey(value)} autoComplete="off" spellCheck={false} />
        </Field>
      )}
      <Chosen source={source} isMissing={isChecked && source === undefined} />
      <div className={styles.buttons}>
        <Button onClick={() => setFront("new")}>Create new</Button>
        <Button onClick={() => setFront("pick")}>Add from Azure Key Vault</Button>
      </div>
      {source?.kind === "pick" && <PickOptions pick={source.pick} onChange={(pick) => setSource({ kind: "pick", pick })} />}
      <NewSecretDialog
        open={front === "new"}
        use="reference"
        {...(key !== "" && { title: key })}
        proposedName={proposedVaultSecretName(id, key)}
        {...(source?.kind === "new" && { initial: source.draft })}
        onClose={() => setFront(undefined)}
        onSubmit={(draft) => setSource({ kind: "new", draft })}
        onUseExisting={(name) => setSource({ kind: "pick", pick: pickNamed(`vaultSecrets/${name}`) })}
      />
      <VaultPickerDialog
        open={front === "pick"}
        {...(key !== "" && { title: key })}
        {...(source?.kind === "pick" && { initial: source.pick })}
        onClose={() => setFront(undefined)}
        onPick={([pick]) => pick !== undefined && setSource({ kind: "pick", pick })}
      />
    </Dialog>
  );
}

function Chosen({ source, isMissing }: { source: Source | undefined; isMissing: boolean }): ReactNode {
  if (source === undefined) {
    return <Text role={isMissing ? "alert" : undefined}>{isMissing ? "Choose where its value comes from." : "Where does its value come from?"}</Text>;
  }
  return source.kind === "new" ? (
    <Text>
      Creates the vault secret <b>{source.draft.vaultSecret}</b> with a value of {grouped(source.draft.size)} bytes.
    </Text>
  ) : (
    <Text>
      Takes the vault secret <b>{idOf(source.pick.vaultSecret)}</b>.
    </Text>
  );
}

function sourceOf(reference: Reference | undefined): Source | undefined {
  if (reference === undefined || reference.create !== undefined) {
    return undefined;
  }
  const { vaultSecret, version = "", part = Part.WHOLE, encoding = Encoding.UTF8 } = reference;
  // The whole value is what no part means.
  return { kind: "pick", pick: { vaultSecret, version, part: part === Part.WHOLE ? Part.UNSPECIFIED : part, encoding } };
}

function pickNamed(vaultSecret: string): VaultPick {
  return { vaultSecret, version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED };
}

function referenceFrom(key: string, source: Source): Reference {
  if (source.kind === "new") {
    return newReferenceOf(key, source.draft);
  }
  const { pick } = source;
  // Left out, the service would keep the part that the reference had.
  return pickedReferenceOf(key, { ...pick, part: pick.part === Part.UNSPECIFIED ? Part.WHOLE : pick.part });
}
