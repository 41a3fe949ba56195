/** The screen of a synced secret that is there. */
import { idOf, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { useClient } from "../../api/connection";
import { isOutcomeUnknown, useChange } from "../../api/change";
import { DeleteDialog } from "../../references/delete-dialog";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Gone } from "./absent";
import { AdoptDialog } from "./adopt-dialog";
import { Conditions } from "./conditions-section";
import type { Draft } from "./draft";
import { EditDialog } from "./edit-dialog";
import type { Followed } from "./follow";
import { Following } from "./following";
import { Head } from "./head";
import { History } from "./history";
import { References } from "./references";
import { isInConflict, whyNotEdit } from "./rules";
import { Uses } from "./uses";

/** How long to wait for the edge before the screen goes on looking by itself. */
const WAIT_MS = 20_000;

/** What is open in front of the screen. */
type Front = { readonly kind: "edit"; readonly read: SyncedSecret; readonly seed: (draft: Draft) => Draft } | { readonly kind: "delete" } | { readonly kind: "adopt" };

interface PresentProps {
  readonly secret: SyncedSecret;
  /** Whether it is no more; what is open in front of it stays until it is closed. */
  readonly isGone: boolean;
  /** When the service was last asked, in milliseconds since 1970. */
  readonly lookedAt: number;
  /** Shown where the last look failed. */
  readonly stale: ReactNode;
}

export function Present({ secret, isGone, lookedAt, stale }: PresentProps): ReactNode {
  const navigate = useNavigate();
  const [front, setFront] = useState<Front>();
  const [followed, setFollowed] = useState<Followed>();
  const sync = useSync(secret, setFollowed);
  const close = (): void => setFront(undefined);
  const edit = (read: SyncedSecret, seed: (draft: Draft) => Draft): void => setFront({ kind: "edit", read, seed });
  const follow = (what: Followed): void => {
    close();
    setFollowed(what);
  };
  if (isGone && front === undefined) {
    return <Gone id={idOf(secret.name)} />;
  }
  return (
    <Page title={idOf(secret.name)} actions={<Actions {...{ secret, sync, show: setFront }} />}>
      {stale}
      {sync.error !== null && <Problem error={sync.error} title={titleOfSync(sync.error)} onRetry={() => sync.mutate(undefined)} />}
      {followed !== undefined && <Following secret={secret} lookedAt={lookedAt} followed={followed} onDismiss={() => setFollowed(undefined)} />}
      <Head secret={secret} lookedAt={lookedAt} />
      <References secret={secret} onEdit={edit} onFollow={setFollowed} />
      <Conditions secret={secret} lookedAt={lookedAt} />
      <Uses secret={secret} lookedAt={lookedAt} />
      <History name={secret.name} generation={secret.generation} />
      {front?.kind === "edit" && <EditDialog read={front.read} current={secret} isGone={isGone} seed={front.seed} onClose={close} onAccepted={follow} />}
      {front?.kind === "delete" && (
        <DeleteDialog
          secrets={[secret]}
          onClose={close}
          onDone={() => {
            close();
            void navigate({ to: "/secrets" });
          }}
        />
      )}
      {front?.kind === "adopt" && (
        <AdoptDialog
          name={secret.name}
          references={secret.references}
          onClose={close}
          onAdopted={(adopted) => follow({ what: "The adoption", accepted: { secret: adopted, at: Date.now() } })}
        />
      )}
    </Page>
  );
}

function useSync(secret: SyncedSecret, onDone: (followed: Followed) => void) {
  const client = useClient();
  return useChange<undefined, SyncedSecret>(() => client.syncSyncedSecret(secret.name, { waitMs: WAIT_MS }), {
    after: (synced) => onDone({ what: "The sync", accepted: { secret: synced, at: Date.now() } }),
  });
}

function titleOfSync(error: Error): string {
  return isOutcomeUnknown(error) ? "Whether it was synced is not known." : "It was not synced.";
}

interface ActionsProps {
  readonly secret: SyncedSecret;
  readonly sync: ReturnType<typeof useSync>;
  readonly show: (front: Front) => void;
}

function Actions({ secret, sync, show }: ActionsProps): ReactNode {
  const { name } = secret;
  const isForeign = secret.origin === Origin.UNMANAGED;
  const why = whyNotEdit(secret);
  return (
    <>
      {(isForeign || isInConflict(secret)) && (
        <ActionButton appearance="primary" method="AdoptSyncedSecret" resource={name} onClick={() => show({ kind: "adopt" })}>
          Adopt
        </ActionButton>
      )}
      <ActionButton
        method="SyncSyncedSecret"
        resource={name}
        unless={sync.isPending ? "It is being synced." : why}
        onClick={() => sync.mutate(undefined)}
      >
        {sync.isPending ? "Syncing…" : "Sync now"}
      </ActionButton>
      <ActionButton method="UpdateSyncedSecret" resource={name} unless={why} onClick={() => show({ kind: "edit", read: secret, seed: (draft) => draft })}>
        Edit
      </ActionButton>
      <ActionButton
        method="DeleteSyncedSecret"
        resource={name}
        unless={secret.state === State.DELETING ? undefined : why}
        onClick={() => show({ kind: "delete" })}
      >
        Delete
      </ActionButton>
      <CommandsButton
        method={SecretService.method.syncSyncedSecret}
        request={{ name }}
        words={["secrets", "sync", idOf(name)]}
        note="This is Sync now. Edit, Delete, Adopt and Rotate show their own lines where they are done."
      />
    </>
  );
}

