/** An edit as command lines. */
import { idOf, type Changes, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService, type SecretReferenceSchema, type UpdateSyncedSecretRequestSchema } from "@iotoperations/secret-service-client/v1";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReactNode } from "react";

import { CommandsButton } from "../../ui/commands";
import { updateWords } from "./command-words";
import { isEmpty, replacesWhole, type Draft } from "./draft";

interface EditCommandsProps {
  readonly read: SyncedSecret;
  readonly before: Draft;
  readonly changes: Changes;
}

export function EditCommands({ read, before, changes }: EditCommandsProps): ReactNode {
  if (isEmpty(changes)) {
    return null;
  }
  const etag = replacesWhole(changes) ? read.etag : "";
  const isNew = changes.setReferences?.some(({ create }) => create !== undefined) === true;
  return (
    <CommandsButton
      method={SecretService.method.updateSyncedSecret}
      request={requestOf(read.name, changes, etag)}
      words={updateWords(idOf(read.name), before, changes, etag)}
      {...(isNew && { note: "The command line asks for the value of what is new; with grpcurl, put it in yourself." })}
    />
  );
}

function requestOf(name: string, changes: Changes, etag: string): MessageInitShape<typeof UpdateSyncedSecretRequestSchema> {
  const { setReferences = [], removeKeys = [], labels, description } = changes;
  const paths = [...(labels === undefined ? [] : ["labels"]), ...(description === undefined ? [] : ["description"])];
  return {
    syncedSecret: { name, etag, ...(labels !== undefined && { labels }), ...(description !== undefined && { description }) },
    ...(paths.length > 0 && { updateMask: { paths } }),
    setReferences: setReferences.map(shown),
    removeKeys: [...removeKeys],
  };
}

/** A reference for a line: a value stands in none. */
export function shown({ key, vaultSecret, version, part, encoding, create }: Reference): MessageInitShape<typeof SecretReferenceSchema> {
  return {
    key,
    vaultSecret,
    ...(version !== undefined && { version }),
    ...(part !== undefined && { part }),
    ...(encoding !== undefined && { encoding }),
    ...(create !== undefined && { create: create.contentType === undefined ? {} : { contentType: create.contentType } }),
  };
}
