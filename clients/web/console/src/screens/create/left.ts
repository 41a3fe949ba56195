/** What an attempt to create left behind that was refused or whose answer was lost. */
import { AlreadyExistsError, NotFoundError, type SecretServiceClient } from "@iotoperations/secret-service-client";

import { vaultSecretOf } from "../../references/draft-reference";
import type { Form } from "./form";

/** What is known of one thing. `foreign`: it is there, and the service says that it is not of this attempt. */
export type Presence = "there" | "absent" | "unknown" | "foreign";

export interface LeftBehind {
  /** The new vault secrets, by name. */
  readonly vaultSecrets: ReadonlyMap<string, Presence>;
  readonly syncedSecret: Presence;
}

type Looking = Pick<SecretServiceClient, "getSyncedSecret" | "getVaultSecret">;

/** How long one look may take. */
const LOOK_MS = 10_000;

/** The vault secrets that a form creates. */
export function newNamesOf(form: Form): string[] {
  return form.references.flatMap(({ source }) => (source.kind === "new" ? [vaultSecretOf(source)] : []));
}

/** Looks at what is there of what was to be created, after the attempt ended with an error. */
export async function lookFor(client: Looking, form: Form, error: unknown): Promise<LeftBehind> {
  const foreign = foreignIn(error, form);
  const vaultSecret = async (name: string): Promise<readonly [string, Presence]> => {
    const get = () => client.getVaultSecret(`vaultSecrets/${name}`, { timeoutMs: LOOK_MS });
    return [name, foreign.vaultSecrets.has(name) ? "foreign" : await presence(get)];
  };
  const syncedSecret = () => client.getSyncedSecret(`syncedSecrets/${form.name}`, { usages: false, timeoutMs: LOOK_MS });
  const [recorded, ...stored] = await Promise.all([
    foreign.syncedSecret ? ("foreign" as const) : presence(syncedSecret),
    ...newNamesOf(form).map(vaultSecret),
  ]);
  return { syncedSecret: recorded, vaultSecrets: new Map(stored) };
}

async function presence(get: () => Promise<unknown>): Promise<Presence> {
  try {
    await get();
    return "there";
  } catch (error) {
    return error instanceof NotFoundError ? "absent" : "unknown";
  }
}

/** What the service refused to create because somebody else's is there already. It knows what this very request created. */
function foreignIn(error: unknown, form: Form): { syncedSecret: boolean; vaultSecrets: ReadonlySet<string> } {
  const names = newNamesOf(form);
  if (!(error instanceof AlreadyExistsError)) {
    return { syncedSecret: false, vaultSecrets: new Set() };
  }
  // It records the synced secret first: where that is another's, nothing in the vault is of this request either.
  if (error.reason !== "VAULT_SECRET_EXISTS" || error.fieldViolations.some(({ field }) => field === "synced_secret_id")) {
    return { syncedSecret: true, vaultSecrets: new Set(names) };
  }
  return { syncedSecret: false, vaultSecrets: new Set(names.filter((name) => error.resource === `vaultSecrets/${name}`)) };
}

/** Whether something of this attempt is there by now, or nobody knows. */
export function hasLeft({ vaultSecrets, syncedSecret }: LeftBehind): boolean {
  return [syncedSecret, ...vaultSecrets.values()].some((is) => is === "there" || is === "unknown");
}

/** Whether sending the same request again can't finish it: a name in the vault that it needs is another's. */
export function isBarred({ vaultSecrets }: LeftBehind): boolean {
  return [...vaultSecrets.values()].includes("foreign");
}

/** What is there by now, in sentences. */
export function wordsOfLeft(left: LeftBehind, name: string): string[] {
  const named = (presence: Presence): string => [...left.vaultSecrets].filter(([, is]) => is === presence).map(([one]) => one).join(", ");
  const [there, absent, unknown, foreign] = [named("there"), named("absent"), named("unknown"), named("foreign")];
  return [
    ...(there === "" ? [] : [`In Azure Key Vault: ${there}.`]),
    ...(absent === "" ? [] : [`Not in Azure Key Vault: ${absent}.`]),
    ...(unknown === "" ? [] : [`Whether Azure Key Vault has ${unknown} is unknown.`]),
    ...(foreign === "" || left.syncedSecret === "foreign" ? [] : [`Somebody else's in Azure Key Vault: ${foreign}.`]),
    {
      there: `The synced secret ${name} is recorded.`,
      absent: `No synced secret ${name} is recorded.`,
      unknown: `Whether the synced secret ${name} is recorded is unknown.`,
      foreign: `The name ${name} is somebody else's, and nothing was done.`,
    }[left.syncedSecret],
  ];
}
