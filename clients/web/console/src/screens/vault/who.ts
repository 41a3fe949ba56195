/** Who refers to vault secrets. */
import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { idOf, type SyncedSecret, type VaultSecret, type VaultSecretVersion } from "@iotoperations/secret-service-client";

import type { LiveSnapshot } from "../../api/live";

/** A reference of a synced secret. */
export interface Referrer {
  /** The id of the synced secret. */
  readonly id: string;
  readonly secret: SyncedSecret;
  readonly key: string;
  /** The version that it is pinned to; empty where it follows the latest. */
  readonly pinned: string;
  /** The version at the edge; empty where there is none yet. */
  readonly synced: string;
}

/** The references to a vault secret, ordered by synced secret. */
export function referrersOf(vaultSecret: string, secrets: readonly SyncedSecret[]): Referrer[] {
  return secrets.flatMap((secret) =>
    secret.references
      .filter((reference) => reference.vaultSecret.toLowerCase() === vaultSecret.toLowerCase())
      .map(({ key, version, syncedVersion }) => ({ id: idOf(secret.name), secret, key, pinned: version, synced: syncedVersion })),
  );
}

/** The ids of the synced secrets that refer to each vault secret, by the lower-case name of that: the vault ignores case. */
export function syncedByOf(secrets: readonly SyncedSecret[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const { name, references } of secrets) {
    for (const { vaultSecret } of references) {
      const key = vaultSecret.toLowerCase();
      found.set(key, (found.get(key) ?? new Set()).add(idOf(name)));
    }
  }
  return new Map([...found].map(([key, ids]) => [key, [...ids]]));
}

/**
 * Who syncs a vault secret: as it is watched, or as the list said where nothing is watched. What the list names and the watch doesn't
 * show may be what the caller may not see, and counts, too, unless it was seen to go.
 */
export function syncersOf(
  { name, syncedSecrets }: Pick<VaultSecret, "name" | "syncedSecrets">,
  syncedBy: ReadonlyMap<string, readonly string[]>,
  { status, byName }: Pick<LiveSnapshot, "status" | "byName">,
): readonly string[] {
  const told = syncedSecrets.map(idOf);
  if (status !== "live") {
    return told;
  }
  const watched = syncedBy.get(name.toLowerCase()) ?? [];
  return [...new Set([...watched, ...told.filter((id) => !byName.has(`syncedSecrets/${id}`))])].sort();
}

/** The references that have a version at the edge, and those that are pinned to it and don't have it yet. */
export interface AtEdge {
  readonly here: readonly Referrer[];
  readonly wanted: readonly Referrer[];
}

/** Where each version is, by its id. */
export function atEdge(
  versions: readonly VaultSecretVersion[],
  referrers: readonly Referrer[],
  latest: string,
): { byVersion: ReadonlyMap<string, AtEdge>; elsewhere: readonly Referrer[] } {
  const ids = versions.map(({ name }) => idOf(name));
  const wants = ({ pinned }: Referrer): string => (pinned === "" ? latest : pinned);
  const byVersion = new Map(
    ids.map((id) => [
      id,
      {
        here: referrers.filter(({ synced }) => synced === id),
        wanted: referrers.filter((referrer) => wants(referrer) === id && referrer.synced !== id),
      },
    ]),
  );
  return { byVersion, elsewhere: referrers.filter(({ synced }) => synced !== "" && !ids.includes(synced)) };
}

/**
 * The latest version, which the vault secret's own attributes are those of; empty where it can't be told: the vault lists versions in the
 * order of their ids, and two of one second look the same.
 */
export function latestOf(versions: readonly VaultSecretVersion[], { createTime }: Pick<VaultSecret, "createTime">): string {
  const [latest, other] = versions.filter((version) => msOf(version.createTime) === msOf(createTime));
  return latest === undefined || other !== undefined ? "" : idOf(latest.name);
}

/** Newest first. */
export function newestFirst(versions: readonly VaultSecretVersion[]): readonly VaultSecretVersion[] {
  return [...versions].sort((one, other) => msOf(other.createTime) - msOf(one.createTime));
}

function msOf(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}
