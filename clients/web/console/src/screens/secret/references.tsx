/** The references: what the edge has of each, and what can be done with it. */
import { idOf, type Reference, type SecretReference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons";
import { useState, type ReactNode } from "react";

import { useClient } from "../../api/connection";
import { useChange } from "../../api/change";
import { NewSecretDialog } from "../../references/new-secret-dialog";
import { optionsOf, type NewSecretDraft } from "../../references/secret-draft";
import { ActionButton } from "../../ui/action";
import { useNotify } from "../../ui/notify";
import { Section } from "../../ui/page";
import { referenceOf, withoutKey, withReference, type Draft } from "./draft";
import type { Followed } from "./follow";
import { ReferenceCard } from "./reference-card";
import { ReferenceDialog } from "./reference-dialog";
import { whyNotEdit } from "./rules";
import { short } from "./versions";
import { grouped } from "../../ui/words";

/** More than these are shown when somebody asks; a trust list can have hundreds. */
const SHOWN = 24;
/** For more than these, the vault is asked for versions only on demand: each is a call. */
const COMPARED = 10;

const useStyles = makeStyles({
  cards: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fill, minmax(min(26rem, 100%), 1fr))",
    gap: tokens.spacingHorizontalL,
    margin: 0,
    padding: 0,
    listStyleType: "none",
  },
});

interface ReferencesProps {
  readonly secret: SyncedSecret;
  /** Begins an edit of what was read. */
  readonly onEdit: (read: SyncedSecret, seed: (draft: Draft) => Draft) => void;
  readonly onFollow: (followed: Followed) => void;
}

/** What is open in front of the references, and the state that was shown when it was opened: what others change since is told. */
type Front = { readonly read: SyncedSecret } & (
  | { readonly kind: "add" }
  | { readonly kind: "change"; readonly reference: Reference }
  | { readonly kind: "rotate"; readonly reference: SecretReference }
);

export function References({ secret, onEdit, onFollow }: ReferencesProps): ReactNode {
  const styles = useStyles();
  const [front, setFront] = useState<Front>();
  const [all, setAll] = useState(false);
  const { references } = secret;
  const why = whyNotEdit(secret);
  const close = (): void => setFront(undefined);
  const set = (reference: Reference, read = secret): void => {
    close();
    onEdit(read, (draft) => withReference(draft, reference));
  };
  return (
    <Section
      title={`References (${grouped(references.length)})`}
      actions={
        <ActionButton method="UpdateSyncedSecret" resource={secret.name} unless={why} icon={<AddRegular />} onClick={() => setFront({ kind: "add", read: secret })}>
          Add reference
        </ActionButton>
      }
    >
      {references.length === 0 && <Text>Where its keys come from is not known, or you may not see it.</Text>}
      <ul className={styles.cards}>
        {references.slice(0, all ? undefined : SHOWN).map((reference) => (
          <ReferenceCard
            key={reference.key}
            secret={secret}
            reference={reference}
            compare={references.length <= COMPARED}
            unless={why}
            onRotate={() => setFront({ kind: "rotate", read: secret, reference })}
            onChange={() => setFront({ kind: "change", read: secret, reference: referenceOf(reference) })}
            onPin={(version) => set({ ...referenceOf(reference), version })}
            onRemove={() => onEdit(secret, (draft) => withoutKey(draft, reference.key))}
          />
        ))}
      </ul>
      {!all && references.length > SHOWN && (
        <div>
          <Button onClick={() => setAll(true)}>Show all {grouped(references.length)}</Button>
        </div>
      )}
      {(front?.kind === "add" || front?.kind === "change") && (
        <ReferenceDialog
          id={idOf(secret.name)}
          reference={front.kind === "change" ? front.reference : undefined}
          takenKeys={front.read.references.map(({ key }) => key)}
          onClose={close}
          onSubmit={(reference) => set(reference, front.read)}
        />
      )}
      {front?.kind === "rotate" && <Rotation uid={front.read.uid} reference={front.reference} onClose={close} onFollow={onFollow} onPin={(pinned) => set(pinned, front.read)} />}
    </Section>
  );
}

interface RotationProps {
  /** The uid of the synced secret. */
  readonly uid: string;
  readonly reference: SecretReference;
  readonly onClose: () => void;
  readonly onFollow: (followed: Followed) => void;
  readonly onPin: (reference: Reference) => void;
}

/** A new value: a new version in the vault, which the edge gets where the reference follows the latest. */
function Rotation({ uid, reference, onClose, onFollow, onPin }: RotationProps): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const { key, vaultSecret, version: pinned, syncedVersion } = reference;
  const id = idOf(vaultSecret);
  const rotate = useChange((draft: NewSecretDraft, requestId) =>
    client.addVaultSecretVersion(vaultSecret, draft.value, { ...optionsOf(draft), keepDates: draft.keepDates, requestId }),
  );
  const submit = async (draft: NewSecretDraft): Promise<void> => {
    const version = idOf((await rotate.mutateAsync(draft)).name);
    if (pinned === "") {
      onFollow({ what: `The new value of ${key}`, version: { key, vaultSecret, version, before: syncedVersion, uid } });
      return;
    }
    notify.done(`${id} has the version ${short(version)}`, `${key} is pinned to another one. Decide whether it shall be this one.`);
    onPin({ ...referenceOf(reference), version });
  };
  return <NewSecretDialog open use="version" vaultSecret={id} title={key} multiline={reference.certificate !== undefined} onClose={onClose} onSubmit={submit} />;
}
