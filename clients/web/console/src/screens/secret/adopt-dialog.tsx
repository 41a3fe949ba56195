/** Adopts what another tool made: the Secret stays as it is, and this service goes on with it. */
import { Encoding, idOf, Part, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { Button, makeStyles, Spinner, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { useEffect, useState, type ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { PickOptions } from "../../references/pick-options";
import { pickedReferenceOf, type VaultPick } from "../../references/vault-pick";
import { VaultPickerDialog } from "../../references/vault-picker";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/problem";
import { keysAskedFor } from "./adoption";
import { adoptWords } from "./command-words";
import { referenceOf, wordsOf } from "./draft";
import { shown } from "./edit-commands";
import { useOpenRequests } from "./open-request";

const useStyles = makeStyles({
  title: { margin: 0 },
  content: { overflowWrap: "anywhere", "& > *": { flexShrink: 0 } },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
  keys: { display: "grid", gap: tokens.spacingVerticalM, margin: 0, padding: 0, listStyleType: "none" },
  key: {
    display: "flex",
    flexDirection: "column",
    alignItems: "flex-start",
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalM,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground3,
  },
});

interface AdoptDialogProps {
  readonly name: string;
  /** What the edge tells of where its keys come from. */
  readonly references: readonly Reference[];
  readonly onClose: () => void;
  readonly onAdopted: (adopted: SyncedSecret) => void;
}

export function AdoptDialog({ name, references, onClose, onAdopted }: AdoptDialogProps): ReactNode {
  const styles = useStyles();
  const { check, adopt, keys, picks, given, revision, put, isOpen } = useAdoption(name, onAdopted);
  const [picking, setPicking] = useState<string>();
  const missing = keys.filter((key) => !picks.has(key));
  const isAsking = keys.length > 0;
  const error = adopt.error ?? (isAsking && keysAskedFor(check.error).length > 0 && missing.length > 0 ? null : check.error);
  const isPending = check.isPending || adopt.isPending;
  const why = whyNot(isPending, missing, !isAsking && check.isError);
  const id = idOf(name);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={adopt.isPending}
      width="48rem"
      title={`Adopt ${id}`}
      className={styles.content}
      actions={
        <>
          <CommandsButton
            method={SecretService.method.adoptSyncedSecret}
            request={{ name, references: given.map(shown) }}
            words={adoptWords(id, given)}
          />
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            unless={isOpen ? "It may be done already: adopt again." : whyNot(isPending, missing, false)}
            onClick={() => check.mutate({ references: given, revision })}
          >
            Check
          </ActionButton>
          <ActionButton
            appearance="primary"
            method="AdoptSyncedSecret"
            resource={name}
            unless={why}
            onClick={() => adopt.mutate({ references: given, revision })}
          >
            {isOpen ? "Adopt again" : "Adopt"}
          </ActionButton>
        </>
      }
    >
      <Consequences />
      {isAsking ? (
        <>
          <Text>The cluster doesn't tell where its keys come from. Say for each key which vault secret has its value:</Text>
          <ul className={styles.keys}>
            {keys.map((key) => (
              <KeySource key={key} name={key} pick={picks.get(key)} onChoose={() => setPicking(key)} onChange={(pick) => put(key, pick)} />
            ))}
          </ul>
        </>
      ) : (
        references.length > 0 && (
          <section aria-label="Where its keys come from">
            <Subtitle2 as="h3" className={styles.title}>Where its keys come from, as the cluster tells</Subtitle2>
            <ul className={styles.list}>
              {references.map((reference) => (
                <li key={reference.key}>
                  {reference.key}: {wordsOf(referenceOf(reference))}
                </li>
              ))}
            </ul>
          </section>
        )
      )}
      {check.isPending && <Spinner size="tiny" label="Checking it with the vault and the cluster…" />}
      {adopt.isPending && <Spinner size="tiny" label="Adopting it…" />}
      {check.isSuccess && !adopt.isPending && adopt.error === null && <Text role="status">The service checked it: it can be adopted. Nothing is changed yet.</Text>}
      {error !== null && !isPending && <Problem error={error} {...(isOpen && { title: "Whether it was adopted is not known." })} />}
      {isOpen && !isPending && <Text role="status">Adopt again: it is the same request, and the service carries it out once.</Text>}
      <VaultPickerDialog
        open={picking !== undefined}
        title={picking ?? ""}
        onClose={() => setPicking(undefined)}
        onPick={([pick]) => {
          if (picking !== undefined && pick !== undefined) {
            put(picking, pick);
          }
        }}
      />
    </Dialog>
  );
}

function Consequences(): ReactNode {
  return (
    <ul className={useStyles().list}>
      <li>The Kubernetes Secret stays in place all the time; what uses it goes on.</li>
      <li>From then on its keys have what the vault has for them, and follow new versions.</li>
      <li>This service then undoes what others change in it: no longer let the tool that made it write it.</li>
      <li>It can then be edited, rotated and deleted here.</li>
    </ul>
  );
}

interface KeySourceProps {
  readonly name: string;
  readonly pick: VaultPick | undefined;
  readonly onChoose: () => void;
  readonly onChange: (pick: VaultPick) => void;
}

function KeySource({ name, pick, onChoose, onChange }: KeySourceProps): ReactNode {
  const styles = useStyles();
  return (
    <li className={styles.key}>
      <Text weight="semibold">{name}</Text>
      {pick !== undefined && (
        <>
          <Text>Takes the vault secret {idOf(pick.vaultSecret)}.</Text>
          <PickOptions pick={pick} onChange={onChange} />
        </>
      )}
      <Button size="small" aria-label={`Choose the vault secret of ${name}`} onClick={onChoose}>
        {pick === undefined ? "Choose from Azure Key Vault" : "Choose another one"}
      </Button>
    </li>
  );
}

interface Input {
  readonly references: readonly Reference[];
  readonly revision: string;
}

/** The keys that the service asks for, what was chosen for each, the check and the adoption. */
function useAdoption(name: string, onAdopted: (adopted: SyncedSecret) => void) {
  const client = useClient();
  const [keys, setKeys] = useState<readonly string[]>([]);
  const [picks, setPicks] = useState<ReadonlyMap<string, VaultPick>>(new Map());
  const { open, send } = useOpenRequests<string>();
  const validate = async ({ references }: Input): Promise<void> => {
    try {
      await client.adoptSyncedSecret(name, { references, validateOnly: true });
    } catch (error) {
      const asked = keysAskedFor(error);
      if (asked.length > 0) {
        setKeys((known) => [...new Set([...known, ...asked])]);
      }
      throw error;
    }
  };
  const check = useChange<Input, undefined>(async (input) => {
    await validate(input);
  });
  const adopt = useChange<Input, SyncedSecret>(
    async (input, requestId) => {
      // An adoption whose outcome is unknown may be done already: checked again, it would stand in its own way.
      if (!open.includes(input.revision)) {
        await validate(input);
      }
      return send(input.revision, () => client.adoptSyncedSecret(name, { references: input.references, requestId }));
    },
    { after: onAdopted },
  );
  const given = keys.flatMap((key) => {
    const pick = picks.get(key);
    return pick === undefined ? [] : [pickedReferenceOf(key, pick)];
  });
  const { mutate } = check;
  useEffect(() => {
    mutate({ references: [], revision: "" });
  }, [mutate]);
  const put = (key: string, pick: VaultPick): void => {
    setPicks((before) => new Map(before).set(key, pick));
    // What was found of other references says nothing of these.
    check.reset();
    adopt.reset();
  };
  const revision = given.map((reference) => `${reference.key}=${reference.vaultSecret}@${reference.version ?? ""}/${reference.part ?? Part.UNSPECIFIED}/${reference.encoding ?? Encoding.UNSPECIFIED}`).join(" ");
  return { check, adopt, keys, picks, given, revision, put, isOpen: open.includes(revision) };
}

function whyNot(isPending: boolean, missing: readonly string[], isRefused: boolean): string | undefined {
  if (isPending) {
    return "It is being done.";
  }
  if (missing.length > 0) {
    return `Choose the vault secret of ${missing.join(", ")} first.`;
  }
  return isRefused ? "The service refuses it: see why." : undefined;
}
