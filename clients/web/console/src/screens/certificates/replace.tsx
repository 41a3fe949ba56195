/** Another file for an entry: a new version of its vault secret. */
import { Subtitle2, Text } from "@fluentui/react-components";
import { idOf } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useState, type ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { useLiveSecrets } from "../../api/hooks";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Frozen } from "../../ui/frozen";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";
import { EntryReplacer } from "./changes";
import { CertificateFacts } from "../../ui/certificate-facts";
import { FileFacts, FilePicker } from "./file-rows";
import { readFiles, type ChosenFile } from "./files";
import { followersOf, unchangeable, type Entry } from "./lists";
import { meanwhileOf, type EntryProps } from "./meanwhile";
import { wordsOfOutcome } from "./outcome";

export function ReplaceDialog({ entry, now, onClose }: EntryProps): ReactNode {
  const { reference, secret } = entry;
  const [file, setFile] = useState<ChosenFile>();
  const replacing = useReplacing(entry, onClose);
  const meanwhile = meanwhileOf(replacing, reference, now);
  const problem = meanwhile ?? unchangeable(secret) ?? (file === undefined ? "Choose a file." : file.error);
  const take = async (files: readonly File[]): Promise<void> => setFile((await readFiles(files))[0]);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={replacing.isPending}
      width="46rem"
      title={`Replace ${reference.key}`}
      actions={
        <>
          <CommandsButton
            method={SecretService.method.addVaultSecretVersion}
            request={{ parent: reference.vaultSecret, secret: { data: Uint8Array.of(0) } }}
            words={["secrets", "certificates", "replace", idOf(secret.name), `${reference.key}=${file?.fileName ?? "FILE"}`]}
            note="The CLI also syncs the list at once; with grpcurl, that is SyncSyncedSecret."
          />
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="AddVaultSecretVersion"
            resource={reference.vaultSecret}
            pending={replacing.isPending && "It is being replaced."}
            unless={problem}
            onClick={() => file && replacing.mutate({ file, revision: file.id })}
          >
            Replace
          </ActionButton>
        </>
      }
    >
      <Text>
        The file becomes a new version of the vault secret {idOf(reference.vaultSecret)}; the versions before stay in the vault.{" "}
        {reference.version !== "" && "The entry is pinned to a version, and will be to the new one."}
      </Text>
      <OthersThatFollow entry={entry} />
      {reference.certificate && (
        <>
          <Subtitle2 as="h3">What the edge has now</Subtitle2>
          <CertificateFacts facts={reference.certificate} />
        </>
      )}
      <Subtitle2 as="h3">The new file</Subtitle2>
      <Frozen when={replacing.isPending}>
        <FilePicker disabled={replacing.isPending} onFiles={(files) => void take(files)} />
        {file && <FileFacts file={file} />}
      </Frozen>
      {meanwhile !== undefined && <Text role="alert">{meanwhile}</Text>}
      {replacing.error !== null && <Problem error={replacing.error} />}
    </Dialog>
  );
}

function useReplacing({ list, reference }: Entry, onClose: () => void) {
  const client = useClient();
  const notify = useNotify();
  const [replacer] = useState(() => new EntryReplacer(client));
  return useChange(
    ({ file }: { file: ChosenFile; revision: number }, requestId) => replacer.replace(list.id, reference, file.bytes, requestId),
    {
      onDone: (result) => notify.done(`${reference.key} of ${list.id} has a new version.`, wordsOfOutcome(result)),
      after: onClose,
    },
  );
}

/** What else gets the new version, because it follows the same vault secret. */
function OthersThatFollow({ entry: { reference, secret } }: { entry: Entry }): ReactNode {
  const { secrets, status } = useLiveSecrets();
  const others = followersOf(reference.vaultSecret, secrets).filter((other) => other !== `${idOf(secret.name)}/${reference.key}`);
  return (
    <>
      {others.length > 0 && <Text>It also reaches what follows the same vault secret: {others.join(", ")}.</Text>}
      {status !== "live" && <Text>What else follows it by now is not known.</Text>}
    </>
  );
}
