/** Versions of a reference, in words. */
import { idOf, type SecretReference, type VaultSecretVersion } from "@iotoperations/secret-service-client";

/** `0af31b2c…`: enough to tell one from another, where the whole stands beside it. */
export function short(version: string): string {
  return version.length > 8 ? `${version.slice(0, 8)}…` : version;
}

/**
 * The latest of versions, the newest first. The vault tells when they were made to the second: of those that were made in the same
 * one, that at the edge counts as the latest, because the service asked the vault which it is.
 */
export function latestOf(versions: readonly VaultSecretVersion[], syncedVersion: string): VaultSecretVersion | undefined {
  const [first] = versions;
  const synced = versions.find(({ name }) => idOf(name) === syncedVersion);
  return synced?.createTime?.seconds !== undefined && synced.createTime.seconds === first?.createTime?.seconds ? synced : first;
}

/** How the version at the edge stands to the latest one in the vault; empty where that is not known. */
export function wordsOfLatest(reference: Pick<SecretReference, "version" | "syncedVersion">, latest: VaultSecretVersion | undefined): string {
  if (latest === undefined) {
    return "";
  }
  const newest = idOf(latest.name);
  if (reference.version !== "") {
    return reference.version === newest ? "It is the latest in the vault." : `The vault has a newer one, ${newest}.`;
  }
  return reference.syncedVersion === newest ? "It is the latest in the vault." : `The vault has ${newest}, which is not at the edge yet.`;
}
