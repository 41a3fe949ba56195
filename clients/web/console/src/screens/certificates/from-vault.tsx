/** "Add from Azure Key Vault": a vault secret that is there becomes an entry of a list. */
import { Field, Input, Text } from "@fluentui/react-components";
import { idOf, type Reference } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useRef, useState, type ReactNode } from "react";

import { PickOptions } from "../../references/pick-options";
import { ENCODING_NAMES, PART_NAMES, pickedReferenceOf, type VaultPick } from "../../references/vault-pick";
import { VaultPickerDialog } from "../../references/vault-picker";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Frozen } from "../../ui/frozen";
import { Problem } from "../../ui/problem";
import { problemOfKey } from "./files";
import { ListField, problemOfList } from "./list-field";
import { unchangeable, type CertificateList } from "./lists";
import { purposeOf } from "./names";
import { useAdding } from "./use-adding";

interface FromVaultProps {
  readonly lists: readonly CertificateList[];
  /** The list that it begins with. */
  readonly list: string;
  readonly onClose: () => void;
}

/** First which secret, then where it goes. */
export function FromVaultDialog(props: FromVaultProps): ReactNode {
  const { onClose } = props;
  const [pick, setPick] = useState<VaultPick>();
  // The picker closes once something is picked, too: that goes on here.
  const isPicked = useRef(false);
  const take = ([picked]: readonly VaultPick[]): void => {
    isPicked.current = picked !== undefined;
    setPick(picked);
  };
  return pick === undefined ? (
    <VaultPickerDialog open title="certificate" onClose={() => !isPicked.current && onClose()} onPick={take} />
  ) : (
    <EntryOfPick {...props} pick={pick} onChange={setPick} />
  );
}

/** A file name for the content of a vault secret. */
export function proposedKey({ vaultSecret, contentType = "" }: Pick<VaultPick, "vaultSecret" | "contentType">): string {
  const extensions: Readonly<Record<string, string>> = { "application/pkix-cert": ".der", "application/pkix-crl": ".crl" };
  return `${idOf(vaultSecret)}${extensions[contentType.toLowerCase()] ?? ".crt"}`;
}

function EntryOfPick({ lists, list: first, pick, onChange, onClose }: FromVaultProps & { pick: VaultPick; onChange: (pick: VaultPick) => void }): ReactNode {
  const [list, setList] = useState(first);
  const [key, setKey] = useState(() => proposedKey(pick));
  const secret = lists.find(({ id }) => id === list)?.secret;
  const { adding, mayBeThere } = useAdding(onClose);
  const reference = pickedReferenceOf(key, pick);
  const revision = JSON.stringify([list, reference]);
  const taken = mayBeThere(revision) ? [] : (secret?.references.map((one) => one.key) ?? []);
  const keyProblem = problemOfKey(key, taken);
  const problem = problemOfList(list) ?? keyProblem ?? unchangeable(secret);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={adding.isPending}
      width="46rem"
      title={`Add ${idOf(pick.vaultSecret)} to a list`}
      actions={
        <>
          {problem === undefined && <Commands list={list} exists={secret !== undefined} reference={reference} />}
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method={secret === undefined ? "CreateSyncedSecret" : "UpdateSyncedSecret"}
            resource={`syncedSecrets/${list}`}
            pending={adding.isPending && "It is being added."}
            unless={problem}
            onClick={() => adding.mutate({ list, entries: [reference], revision })}
          >
            Add to the list
          </ActionButton>
        </>
      }
    >
      <Frozen when={adding.isPending}>
        <ListField lists={lists} value={list} onChange={setList} />
        <Field label="Name in the list" required {...(keyProblem !== undefined && { validationMessage: keyProblem })}>
          <Input value={key} onChange={(_, { value }) => setKey(value)} />
        </Field>
        <PickOptions pick={pick} onChange={onChange} />
      </Frozen>
      <Text>Its subject, dates and thumbprint are shown once the edge has it: the service reads certificates there.</Text>
      {adding.error !== null && <Problem error={adding.error} />}
    </Dialog>
  );
}

/** The same as lines. */
function Commands({ list, exists, reference }: { list: string; exists: boolean; reference: Reference }): ReactNode {
  const { key, vaultSecret, version = "", part, encoding } = reference;
  const sent = { key, vaultSecret, version, ...(part !== undefined && { part }), ...(encoding !== undefined && { encoding }) };
  const taken = flagsOf(reference);
  const purpose = purposeOf(list);
  const from = `${key}=${idOf(vaultSecret)}${version === "" ? "" : `@${version}`}`;
  return exists ? (
    <CommandsButton
      method={SecretService.method.updateSyncedSecret}
      request={{ syncedSecret: { name: `syncedSecrets/${list}` }, setReferences: [sent] }}
      words={["secrets", "add", "--to", list, from, ...taken]}
    />
  ) : (
    <CommandsButton
      method={SecretService.method.createSyncedSecret}
      request={{ syncedSecretId: list, syncedSecret: { references: [sent] }, purpose }}
      words={["secrets", "create", list, "--from", from, ...taken, ...(purpose === "" ? [] : ["--purpose", purpose])]}
    />
  );
}

/** What the CLI calls the part and the encoding. */
function flagsOf({ key, part, encoding }: Reference): string[] {
  const [partName, encodingName] = [part && PART_NAMES[part], encoding && ENCODING_NAMES[encoding]];
  return [
    ...(partName === undefined ? [] : ["--part", `${key}=${partName}`]),
    ...(encodingName === undefined ? [] : ["--encoding", `${key}=${encodingName}`]),
  ];
}
