/** Deletes one synced secret or several: from the edge, never from the vault. */
import { idOf, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { Button, Field, Input, makeStyles, MessageBar, MessageBarBody, Spinner, Text, tokens } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";

import { useClient } from "../api/connection";
import { ActionButton } from "../ui/action";
import { CommandsButton } from "../ui/commands";
import { CloseButton, DialogInside, DialogShell } from "../ui/dialog";
import { Problem } from "../ui/problem";
import { Time } from "../ui/time";
import { inOrder, namedBy, ownerOf } from "../ui/usages";
import { count, grouped } from "../ui/words";
import { DeleteSteps } from "./delete-steps";
import { candidates, isRefusedForUse, wordsOfVerdict, type Candidate } from "./deletion";
import { acceptedOf, againOf, isRunning, tally, type Steps } from "./deletion-steps";
import { useDeletion } from "./use-deletion";

const LOOK_AGAIN_MS = 10_000;
const PAGE = 1_000;

const useStyles = makeStyles({
  content: { overflowWrap: "anywhere", "& > *": { flexShrink: 0 } },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL, display: "grid", gap: tokens.spacingVerticalS },
  muted: { color: tokens.colorNeutralForeground3 },
  code: { fontFamily: tokens.fontFamilyMonospace },
});

export interface DeleteDialogProps {
  readonly secrets: readonly SyncedSecret[];
  /** Closed, and the service has accepted none of it. */
  readonly onClose: () => void;
  /** Closed, and these names are gone or on their way out; a toast says so. */
  readonly onDone: (deleted: string[]) => void;
}

/** Shown for as long as it is rendered; what became of it is told by a toast when it is not any more. */
export function DeleteDialog({ secrets, onClose, onDone }: DeleteDialogProps): ReactNode {
  // What was chosen is what is deleted: a change that arrives meanwhile is for the service to find.
  const [chosen] = useState(secrets);
  const [mayForce, allowForce] = useState(false);
  const { steps, start, again, stop, reset } = useDeletion();
  const close = (): void => {
    const deleted = acceptedOf(steps);
    if (deleted.length === 0) {
      onClose();
    } else {
      onDone(deleted);
    }
  };
  const isDone = steps.size > 0 && tally(steps).gone === steps.size;
  useEffect(() => {
    if (isDone) {
      close();
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- Once, when the last one is gone.
  }, [isDone]);
  const back = (): void => {
    allowForce(true);
    reset();
  };
  const [only] = chosen;
  const title = chosen.length === 1 && only !== undefined ? `Delete ${idOf(only.name)}?` : `Delete ${count(chosen.length, "synced secret")}?`;
  return (
    <DialogShell onClose={close} stays busy={isRunning(steps)}>
      {steps.size === 0 ? (
        <Question title={title} chosen={chosen} wasRefusedForUse={mayForce} onDelete={start} />
      ) : (
        <Under title={title} chosen={chosen} steps={steps} onAgain={again} onStop={stop} onBack={back} />
      )}
    </DialogShell>
  );
}

interface UnderProps {
  readonly title: string;
  readonly chosen: readonly SyncedSecret[];
  readonly steps: Steps;
  readonly onAgain: () => void;
  readonly onStop: () => void;
  /** Asks anew, whether it shall be deleted although something uses it. */
  readonly onBack: () => void;
}

/** It was asked for. */
function Under({ title, chosen, steps, onAgain, onStop, onBack }: UnderProps): ReactNode {
  const styles = useStyles();
  const running = isRunning(steps);
  const [only] = chosen.length === 1 ? [...steps.values()] : [];
  const isRefused = only !== undefined && "error" in only && isRefusedForUse(only.error);
  return (
    <DialogInside
      title={title}
      className={styles.content}
      actions={
        <>
          {!running && isRefused && <Button onClick={onBack}>Back</Button>}
          {!running && againOf(steps).length > 0 && <Button onClick={onAgain}>Try again</Button>}
          {running && chosen.length > 1 ? (
            <ActionButton unless={tally(steps).waiting === 0 ? "All were asked for: wait for the answers." : undefined} onClick={onStop}>
              Stop
            </ActionButton>
          ) : (
            <CloseButton appearance="primary">Close</CloseButton>
          )}
        </>
      }
    >
      <DeleteSteps steps={steps} />
    </DialogInside>
  );
}

interface QuestionProps {
  readonly title: string;
  readonly chosen: readonly SyncedSecret[];
  /** The service has found a use, or could not look, whatever the page knows. */
  readonly wasRefusedForUse: boolean;
  readonly onDelete: (secrets: readonly SyncedSecret[], options?: { force?: boolean }) => void;
}

/** What will be deleted, what won't, and why. */
function Question({ title, chosen, wasRefusedForUse, onDelete }: QuestionProps): ReactNode {
  const styles = useStyles();
  const looked = useUsagesOf(chosen);
  const [typed, setTyped] = useState("");
  const found = candidates(chosen, looked.data ?? [], wasRefusedForUse);
  const free = found.filter(({ verdict }) => verdict === "free");
  const [only] = found.length === 1 ? found : [];
  const mayForce = only !== undefined && mayBeForced(only, looked.isError);
  const id = only === undefined ? "" : idOf(only.secret.name);
  const isForced = mayForce && typed === id;
  const targets = isForced ? found : free;
  return (
    <DialogInside
      title={title}
      className={styles.content}
      actions={
        <>
          <DeleteCommands chosen={targets.length > 0 ? targets : found} force={isForced} />
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="DeleteSyncedSecret"
            resource={only?.secret.name ?? ""}
            unless={unless(looked.isPending, targets.length, only)}
            onClick={() => onDelete(targets.map(({ secret }) => secret), { force: isForced })}
          >
            {isForced ? "Delete all the same" : only === undefined ? `Delete ${grouped(free.length)}` : "Delete"}
          </ActionButton>
        </>
      }
    >
      <Text>
        This deletes from the Kubernetes cluster only. The vault keeps {chosen.length === 1 ? "its" : "their"} secrets with all their
        versions.
      </Text>
      {looked.isPending && <Spinner size="tiny" label="Looking at what uses it…" />}
      {looked.isError && (
        <Problem error={looked.error} title="What uses it is not known." onRetry={() => void looked.refetch()} />
      )}
      {looked.data !== undefined && (only === undefined ? <Many found={found} /> : <One {...only} />)}
      {looked.dataUpdatedAt > 0 && (
        <Text size={200} className={styles.muted}>
          Looked at <Time value={new Date(looked.dataUpdatedAt)} />; the service looks again before it deletes.
        </Text>
      )}
      {mayForce && (
        <Field
          label={
            <>
              To delete it all the same, type its name: <span className={styles.code}>{id}</span>
            </>
          }
          hint={`What uses it${only.verdict === "used" ? "" : ", if anything does,"} will then look for it in vain.`}
        >
          <Input value={typed} onChange={(_, { value }) => setTyped(value)} autoComplete="off" spellCheck={false} />
        </Field>
      )}
    </DialogInside>
  );
}

/** Whether the service deletes it all the same if it is told to; `isInDoubt`: also what nothing is said to use. */
function mayBeForced({ verdict }: Candidate, isInDoubt: boolean): boolean {
  return verdict === "used" || verdict === "unknown" || (isInDoubt && verdict === "free");
}

/** Why there is nothing to delete. */
function unless(isPending: boolean, targets: number, only: Candidate | undefined): string | undefined {
  if (isPending) {
    return "What uses it is being looked at.";
  }
  if (targets > 0) {
    return undefined;
  }
  if (only === undefined) {
    return "None of them can be deleted: see the reasons.";
  }
  switch (only.verdict) {
    case "used":
      return "Something uses it. Remove its name there, or type the name to delete it all the same.";
    case "unknown":
      return "Whether something uses it is not known. Type the name to delete it all the same.";
    default:
      return wordsOfVerdict(only);
  }
}

function One(candidate: Candidate): ReactNode {
  const styles = useStyles();
  if (candidate.verdict !== "used") {
    return <Text>{wordsOfVerdict(candidate)}</Text>;
  }
  return (
    <>
      <MessageBar intent="warning" layout="multiline">
        <MessageBarBody>
          {count(candidate.usages.length, "field names it", "fields name it")}. The service refuses to delete it until none does: remove
          its name there first.
        </MessageBarBody>
      </MessageBar>
      <ul className={styles.list} aria-label="What uses it">
        {inOrder(candidate.usages).map((usage) => (
          <li key={`${ownerOf(usage)} ${usage.field}`}>
            <Text weight="semibold">{ownerOf(usage)}</Text>
            {usage.guessed && " (guessed from the field's name)"}
            <br />
            <Text size={200} className={styles.code}>
              {usage.field}: {namedBy(usage)}
            </Text>
          </li>
        ))}
      </ul>
    </>
  );
}

function Many({ found }: { found: readonly Candidate[] }): ReactNode {
  const styles = useStyles();
  return (
    <>
      <ul className={styles.list} aria-label="What is to be deleted">
        {found.map((candidate) => (
          <li key={candidate.secret.name}>
            <Text weight="semibold">{idOf(candidate.secret.name)}</Text>
            <br />
            <Text size={200}>{wordsOfVerdict(candidate)}</Text>
          </li>
        ))}
      </ul>
      {found.some((one) => mayBeForced(one, false)) && (
        <Text size={200}>What is in use, or may be, can be deleted all the same one by one, where you delete it alone.</Text>
      )}
    </>
  );
}

function DeleteCommands({ chosen, force }: { chosen: readonly Candidate[]; force: boolean }): ReactNode {
  const [first] = chosen;
  if (first === undefined) {
    return null;
  }
  const { name, etag } = first.secret;
  const ids = chosen.map(({ secret }) => idOf(secret.name));
  const isOne = ids.length === 1;
  return (
    <CommandsButton
      method={SecretService.method.deleteSyncedSecret}
      request={{ name, ...(isOne && { etag }), ...(force && { force }) }}
      words={["secrets", "delete", ...ids, ...(isOne ? ["--etag", etag] : []), ...(force ? ["--force"] : [])]}
      note={isOne ? "The etag stands for the state that this page read." : "grpcurl deletes one at a time: call it once for each name."}
    />
  );
}

/** What uses them, looked at now. */
function useUsagesOf(secrets: readonly SyncedSecret[]) {
  const client = useClient();
  const [only] = secrets;
  // For one, it takes the right to get that one; for several, one call for all is less than one for each.
  const parent = secrets.length === 1 && only !== undefined ? only.name : "syncedSecrets/-";
  return useQuery({
    queryKey: ["usages", parent, "now"],
    queryFn: ({ signal }) => client.listSecretUsages(parent, { pageSize: PAGE, signal }).all(),
    staleTime: 0,
    gcTime: 0,
    refetchInterval: LOOK_AGAIN_MS,
  });
}
