/** "Upload Certificate": files into a list, with what they hold shown before anything is sent. */
import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { referenceInit } from "./requests";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useState, type ReactNode } from "react";

import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Frozen } from "../../ui/frozen";
import { Problem } from "../../ui/problem";
import { entryOf } from "./changes";
import { FilePicker, FileRows } from "./file-rows";
import { problemOf, readFiles, vaultSecretOfFile, type ChosenFile } from "./files";
import { ListField, problemOfList } from "./list-field";
import { unchangeable, type CertificateList } from "./lists";
import { purposeOf } from "./names";
import { useAdding } from "./use-adding";

const useStyles = makeStyles({
  content: { gap: tokens.spacingVerticalL },
});

interface UploadProps {
  readonly lists: readonly CertificateList[];
  /** The list that it begins with. */
  readonly list: string;
  readonly onClose: () => void;
}

export function UploadDialog({ lists, list: first, onClose }: UploadProps): ReactNode {
  const styles = useStyles();
  const form = useUpload(lists, first, onClose);
  const { list, files, adding } = form;
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={adding.isPending}
      width="46rem"
      title="Upload Certificate"
      className={styles.content}
      actions={
        <>
          {files.length > 0 && list !== "" && <UploadCommands list={list} exists={form.exists} files={files} />}
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method={form.exists ? "UpdateSyncedSecret" : "CreateSyncedSecret"}
            resource={`syncedSecrets/${list}`}
            pending={adding.isPending && "It is being added."}
            unless={form.problem}
            onClick={form.add}
          >
            Add to the list
          </ActionButton>
        </>
      }
    >
      <Frozen when={adding.isPending} className={styles.content}>
        <ListField lists={lists} value={list} onChange={form.setList} />
        <FilePicker multiple disabled={adding.isPending} onFiles={(chosen) => void form.take(chosen)} />
        {files.length === 0 && <Text>What a file holds is shown here before anything is sent.</Text>}
        <FileRows list={list} files={files} taken={form.taken} onChange={form.setFiles} />
      </Frozen>
      {adding.error !== null && <Problem error={adding.error} />}
    </Dialog>
  );
}

function useUpload(lists: readonly CertificateList[], first: string, onClose: () => void) {
  const [list, setList] = useState(first);
  const [files, setFiles] = useState<readonly ChosenFile[]>([]);
  const secret = lists.find(({ id }) => id === list)?.secret;
  const { adding, mayBeThere } = useAdding(onClose);
  const revision = [list, ...files.map((file) => `${file.id} ${file.key} ${vaultSecretOfFile(list, file)}`)].join("\n");
  const taken = mayBeThere(revision) ? [] : (secret?.references.map(({ key }) => key) ?? []);
  const add = (): void => {
    const entries = files.map((file) => entryOf(list, file.key, file.bytes, vaultSecretOfFile(list, file)));
    adding.mutate({ list, entries, revision });
  };
  const take = async (chosen: readonly File[]): Promise<void> => {
    const read = await readFiles(chosen);
    setFiles((before) => [...before, ...read]);
  };
  const problem = problemOfAll(list, files, taken) ?? unchangeable(secret);
  return { list, setList, files, setFiles, taken, take, add, adding, problem, exists: secret !== undefined };
}

/** Why it can't be sent. */
function problemOfAll(list: string, files: readonly ChosenFile[], taken: readonly string[]): string | undefined {
  if (list === "") {
    return "Choose a list.";
  }
  if (files.length === 0) {
    return "Choose a file.";
  }
  const wrong = files.find((file) => problemOf(file, files, taken) !== undefined);
  return problemOfList(list) ?? (wrong && `${wrong.fileName} can’t be added: see there.`);
}

interface CommandsProps {
  readonly list: string;
  readonly exists: boolean;
  readonly files: readonly ChosenFile[];
}

/** The same as lines. */
function UploadCommands({ list, exists, files }: CommandsProps): ReactNode {
  const references = files.map((file) => referenceInit(file.key, vaultSecretOfFile(list, file)));
  const renamed = files.flatMap((file) => (file.vaultSecret === undefined ? [] : ["--vault-secret", `${file.key}=${file.vaultSecret}`]));
  const words = ["secrets", "certificates", "add", list, ...files.map(({ key }) => key), ...renamed, ...(exists ? [] : ["--create"])];
  const note = "The CLI reads the files, and names the entries after them. In the line of grpcurl, data stands for the file in base64.";
  return exists ? (
    <CommandsButton
      method={SecretService.method.updateSyncedSecret}
      request={{ syncedSecret: { name: `syncedSecrets/${list}` }, setReferences: references }}
      words={words}
      note={note}
    />
  ) : (
    <CommandsButton
      method={SecretService.method.createSyncedSecret}
      request={{ syncedSecretId: list, syncedSecret: { references }, purpose: purposeOf(list) }}
      words={words}
      note={note}
    />
  );
}
