/** Fields of resources that name synced secrets, in words and in order. */
import { idOf, Origin, State, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";

/** Whether the resource can't work: what the field names is not there. */
export function isBroken(usage: SecretUsage): boolean {
  return usage.keyMissing || usage.secretMissing;
}

/**
 * Whether what a field names is known to be at the edge: of a Secret of another tool, the service doesn't know the keys, nor does it
 * tell everybody those of its own, and one that it has not looked up yet doesn't count as missing either.
 */
export function isKnownToBeThere(usage: SecretUsage, byName: ReadonlyMap<string, SyncedSecret>): boolean {
  const secret = byName.get(usage.syncedSecret);
  const isAtEdge = secret?.origin === Origin.MANAGED && (secret.state === State.SYNCED || secret.state === State.DEGRADED);
  return isAtEdge && secret.references.length > 0 && !isBroken(usage) && !usage.guessed;
}

/** Whose field it is: `AssetEndpointProfile opc-plc-1`. */
export function ownerOf({ kind, resource }: SecretUsage): string {
  return `${kind} ${resource}`;
}

/** What stands in the field, or would: `edp1secrets/username`, or `edp1secrets` for the whole. */
export function namedBy({ syncedSecret, key }: SecretUsage): string {
  return key === "" ? idOf(syncedSecret) : `${idOf(syncedSecret)}/${key}`;
}

/** What is wrong with the field; empty if nothing is known to be. */
export function problemOfUsage(usage: SecretUsage): string {
  if (usage.secretMissing) {
    return `The edge has no Secret ${idOf(usage.syncedSecret)}, so ${usage.resource} can't work.`;
  }
  if (!usage.keyMissing) {
    return "";
  }
  return usage.key === ""
    ? `It lacks a key that ${usage.resource} needs, so ${usage.resource} can't work.`
    : `It has no key ${usage.key}, so ${usage.resource} can't work. Add a reference with this key, or correct the field.`;
}

/** The broken ones first, the guessed ones last; then by resource and field. */
export function inOrder(usages: readonly SecretUsage[]): SecretUsage[] {
  const rank = (usage: SecretUsage): number => (isBroken(usage) ? 0 : usage.guessed ? 2 : 1);
  const text = (usage: SecretUsage): string => `${ownerOf(usage)} ${usage.field}`;
  return usages.toSorted((one, other) => rank(one) - rank(other) || text(one).localeCompare(text(other), "en"));
}
