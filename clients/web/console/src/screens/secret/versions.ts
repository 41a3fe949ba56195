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

/** The versions in the vault, as somebody who looks at them has them. */
export interface VersionsLook {
  /** The newest first; nothing where none were read yet. */
  readonly versions: readonly VaultSecretVersion[] | undefined;
  /** Whether there are more than were read. */
  readonly hasMore: boolean;
  readonly isLooking: boolean;
  /** Why the last look failed, in words; empty where it didn't. */
  readonly problem: string;
}

type Standing = Pick<SecretReference, "version" | "syncedVersion">;

/**
 * The version that a reference has and the list doesn't: the list was read before it was stored. It says nothing of how the edge
 * stands to the vault then; the latest in it would be told as one that the edge doesn't have yet. Empty where there is none.
 */
export function missingIn({ versions, hasMore }: Pick<VersionsLook, "versions" | "hasMore">, { version, syncedVersion }: Standing): string {
  if (versions === undefined || hasMore) {
    return "";
  }
  const listed = new Set(versions.map(({ name }) => idOf(name)));
  return [syncedVersion, version].find((one) => one !== "" && !listed.has(one)) ?? "";
}

/** How the edge stands to the vault: a version to tell of, or why there is none. */
export function standToVault(reference: Standing, look: VersionsLook): { readonly words: string; readonly latest?: VaultSecretVersion } {
  const { versions, hasMore, isLooking, problem } = look;
  const missing = missingIn(look, reference);
  if (versions === undefined || missing !== "") {
    return { words: isLooking ? "looking…" : `unknown: ${problem === "" ? `the vault doesn't list the version ${missing}` : problem}` };
  }
  // The vault lists versions in no order: the newest may be among those that were not read.
  if (hasMore) {
    return { words: "more versions than are looked at here: see the vault secret" };
  }
  const latest = latestOf(versions, reference.syncedVersion);
  return latest === undefined ? { words: "no version" } : { words: wordsOfLatest(reference, latest), latest };
}

/** How the version at the edge stands to the latest one in the vault. */
function wordsOfLatest({ version, syncedVersion }: Standing, latest: VaultSecretVersion): string {
  const newest = idOf(latest.name);
  if (version !== "") {
    return version === newest ? "It is the latest in the vault." : `The vault has a newer one, ${newest}.`;
  }
  return syncedVersion === newest ? "It is the latest in the vault." : `The vault has ${newest}, which is not at the edge yet.`;
}
