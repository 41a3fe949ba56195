/** An edit as command lines. */
import { idOf, SecretData, type Changes, type NewValue, type Reference, type SyncedSecret } from "@iotoperations/secret-service-client";
import {
  SecretService,
  type NewVaultSecretSchema,
  type SecretReferenceSchema,
  type UpdateSyncedSecretRequestSchema,
} from "@iotoperations/secret-service-client/v1";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { ReactNode } from "react";

import { CommandsButton } from "../../ui/commands";
import { updateWords } from "./command-words";
import { draftOf, isEmpty } from "./draft";

/** What the lines leave to whoever uses them. */
const NOTE =
  "The command line asks for the value of what is new, and takes no dates, tags and content type: create such a secret with “vault create” first. With grpcurl, put the value in yourself.";

export function EditCommands({ base, changes }: { base: SyncedSecret; changes: Changes }): ReactNode {
  if (isEmpty(changes)) {
    return null;
  }
  const { name, etag } = base;
  const isNew = changes.setReferences?.some(({ create }) => create !== undefined) === true;
  return (
    <CommandsButton
      method={SecretService.method.updateSyncedSecret}
      request={requestOf(name, changes, etag)}
      words={updateWords(idOf(name), draftOf(base), changes, etag)}
      {...(isNew && { note: NOTE })}
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
    ...(create !== undefined && { create: withoutValue(create) }),
  };
}

/** All of a new vault secret but its value; bytes go in another field than a text. */
function withoutValue({ value, encoding, contentType, tags, notBeforeTime, expireTime }: NewValue): MessageInitShape<typeof NewVaultSecretSchema> {
  return {
    ...(value instanceof SecretData && { data: Uint8Array.of(0) }),
    ...(encoding !== undefined && { encoding }),
    ...(contentType !== undefined && { contentType }),
    ...(tags !== undefined && { tags: { ...tags } }),
    ...(notBeforeTime !== undefined && { notBeforeTime: timeOf(notBeforeTime) }),
    ...(expireTime !== undefined && { expireTime: timeOf(expireTime) }),
  };
}

function timeOf(time: Date | Timestamp): Timestamp {
  return time instanceof Date ? timestampFromDate(time) : time;
}
