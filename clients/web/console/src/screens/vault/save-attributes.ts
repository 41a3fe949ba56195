/** Saves attributes of a version on top of what is there by then: the vault itself knows no "only if nobody changed it". */
import { idOf, newId, type SecretServiceClient, type VaultSecretVersion } from "@iotoperations/secret-service-client";

import { attributesOf, changesOf, conflictsOf, rebased, type Attributes } from "./changes";

type Client = Pick<SecretServiceClient, "listVaultSecretVersions" | "updateVaultSecret">;

/** What somebody wants of a version. */
export interface Wanted {
  readonly name: string;
  /** As it was when they began. */
  readonly before: VaultSecretVersion;
  readonly after: Attributes;
}

/** Somebody else changed the same meanwhile: whoever was second looks at it first. */
export class MeanwhileError extends Error {
  constructor(
    readonly now: VaultSecretVersion,
    conflicts: readonly string[],
  ) {
    super(`Nothing is saved yet. By now it is: ${conflicts.join("; ")}. Save again to put yours in its place.`);
  }
}

/** Changes what was changed here, and leaves the rest as it is now. What is there already, such as by an attempt before, is not sent again. */
export async function saveAttributes(client: Client, { name, before, after }: Wanted, requestId: string): Promise<void> {
  const now = await versionNow(client, name, before.name);
  const conflicts = conflictsOf(before, after, now);
  if (conflicts.length > 0) {
    throw new MeanwhileError(now, conflicts);
  }
  const changes = changesOf(now, rebased(before, after, now));
  if (!isEmpty(changes)) {
    // Another state is another request.
    const isAsBefore = isEmpty(changesOf(now, attributesOf(before)));
    await client.updateVaultSecret(name, changes, { version: idOf(before.name), requestId: isAsBefore ? requestId : newId() });
  }
}

function isEmpty(changes: Partial<Attributes>): boolean {
  return Object.keys(changes).length === 0;
}

async function versionNow(client: Client, vaultSecret: string, version: string): Promise<VaultSecretVersion> {
  for await (const held of client.listVaultSecretVersions(vaultSecret)) {
    if (held.name === version) {
      return held;
    }
  }
  throw new Error(`The vault no longer lists the version ${idOf(version)}.`);
}
