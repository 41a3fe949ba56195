/** Fields of resources that name synced secrets, in words and in order. */
import { idOf, Origin, State, type SecretUsage, type SyncedSecret } from "@iotoperations/secret-service-client";

/** Whether the resource can't work: what the field names is not there. */
export function isBroken(usage: SecretUsage): boolean {
  return usage.keyMissing || usage.secretMissing;
}

/**
 * Whether the service has looked at what the field names and found it. The keys of what another tool made are not read, nor shown
 * to everybody: that such a key is not called missing does not say that it is there.
 */
export function isFound(usage: SecretUsage, secret: SyncedSecret | undefined): boolean {
  return (
    !isBroken(usage) &&
    secret?.origin === Origin.MANAGED &&
    (secret.state === State.SYNCED || secret.state === State.DEGRADED) &&
    secret.references.length > 0
  );
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
