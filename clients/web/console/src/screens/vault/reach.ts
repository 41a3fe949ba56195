/** Whom a change of a version reaches, as far as anybody knows: said before somebody decides. */
import { idOf, type VaultSecret } from "@iotoperations/secret-service-client";

import type { LiveSnapshot } from "../../api/live";
import type { Referrer } from "./who";

/** Whether a version is the latest one; `unknown` where that can't be told. */
export type Standing = "latest" | "older" | "unknown";

/** `latest`: its id; empty where it is not known. */
export function standingOf(version: string, latest: string): Standing {
  return latest === "" ? "unknown" : version === latest ? "latest" : "older";
}

/**
 * The synced secrets, by id, of which the service said that they refer to a vault secret, and whose references are not seen: the caller
 * may not see them, or nothing is watched. Those that were seen to go are none.
 */
export function unseenOf(
  { syncedSecrets }: Pick<VaultSecret, "syncedSecrets">,
  referrers: readonly Referrer[],
  { status, byName }: Pick<LiveSnapshot, "status" | "byName">,
): readonly string[] {
  return syncedSecrets
    .filter((name) => !referrers.some(({ id }) => id === idOf(name)) && !(status === "live" && byName.has(name)))
    .map(idOf)
    .sort();
}

/** Synced secrets by id. */
interface Reach {
  readonly certain: readonly string[];
  /** Those that may follow another version. */
  readonly perhaps: readonly string[];
}

/** Those that follow a version, being the latest, or are pinned to it; and those that may. */
export function reachOf(version: string, standing: Standing, referrers: readonly Referrer[], unseen: readonly string[]): Reach {
  const unique = (found: readonly Referrer[]): string[] => [...new Set(found.map(({ id }) => id))];
  const certain = unique(referrers.filter(({ pinned }) => pinned === version || (pinned === "" && standing === "latest")));
  const followers = standing === "unknown" ? unique(referrers.filter(({ pinned }) => pinned === "")) : [];
  const perhaps = [...new Set([...followers, ...unseen])].filter((id) => !certain.includes(id));
  return { certain, perhaps };
}

/** The same in sentences; that nobody is reached is said of what is seen alone. */
export function wordsOfReach({ certain, perhaps }: Reach, status: LiveSnapshot["status"]): readonly string[] {
  const said = [
    ...(certain.length === 0 ? [] : [`It reaches ${certain.join(", ")}.`]),
    ...(perhaps.length === 0 ? [] : [`It may reach ${perhaps.join(", ")}: whether they follow this version is not known.`]),
  ];
  const isSeen = status === "live";
  if (said.length === 0) {
    return [isSeen ? "No synced secret refers to it." : "No synced secret referred to it when this page last asked. What refers to it now is not known."];
  }
  return isSeen ? said : [...said, "What else refers to it by now is not known."];
}
