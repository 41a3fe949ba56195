/** What the audit's words are called on the page. */
import type { AuditEvent } from "@iotoperations/secret-service-client";

/** What a caller asks for: when it was done, and what it is to do it. */
interface AskedWords {
  readonly done: string;
  readonly todo: string;
}

const ASKED: Readonly<Record<string, AskedWords>> = {
  CreateSyncedSecret: { done: "Created the synced secret", todo: "create the synced secret" },
  UpdateSyncedSecret: { done: "Changed the synced secret", todo: "change the synced secret" },
  DeleteSyncedSecret: { done: "Deleted the synced secret", todo: "delete the synced secret" },
  SyncSyncedSecret: { done: "Asked for a sync", todo: "sync the synced secret" },
  AdoptSyncedSecret: { done: "Adopted the synced secret", todo: "adopt the synced secret" },
  CreateVaultSecret: { done: "Created the vault secret", todo: "create the vault secret" },
  AddVaultSecretVersion: { done: "Added a version", todo: "add a version" },
  UpdateVaultSecret: { done: "Changed the vault secret", todo: "change the vault secret" },
  RecoverVaultSecret: { done: "Recovered the vault secret", todo: "recover the vault secret" },
  GetSyncedSecret: { done: "Read the synced secret", todo: "read the synced secret" },
  ListSyncedSecrets: { done: "Listed synced secrets", todo: "list synced secrets" },
  WatchSyncedSecrets: { done: "Watched synced secrets", todo: "watch synced secrets" },
  ListSecretUsages: { done: "Looked what uses the synced secret", todo: "see what uses the synced secret" },
  CheckResource: { done: "Checked a manifest", todo: "check a manifest" },
  ListSecretPurposes: { done: "Listed purposes", todo: "list purposes" },
  GetCaller: { done: "Asked who they are", todo: "ask who they are" },
  GetVault: { done: "Looked at the vault", todo: "look at the vault" },
  ListVaultSecrets: { done: "Listed vault secrets", todo: "list vault secrets" },
  GetVaultSecret: { done: "Looked at the vault secret", todo: "look at the vault secret" },
  ListVaultSecretVersions: { done: "Listed versions", todo: "list versions" },
  ListAuditEvents: { done: "Read the audit", todo: "read the audit" },
};

/** What the service does by itself. */
const BY_ITSELF: Readonly<Record<string, string>> = {
  CreateSyncedSecretUndone: "Undid the creation: the vault refused the value",
  UpdateSyncedSecretUndone: "Undid the change: the vault refused the value",
  Synced: "Wrote it to the edge",
  Rotated: "Wrote newer versions to the edge",
  DriftRepaired: "Reverted a change at the edge",
  SyncFailed: "Can't sync it",
  Removed: "Removed it from the edge",
  DeletionHeld: "Holds the deletion: something uses it",
  UsedWhileDeleted: "Removed it although something used it",
  OrphanRemoved: "Removed an object that belongs to nothing",
  EngineSwitched: "Handed it over to the other engine",
  RebuildFromEdge: "Rebuilt the database from the edge",
  RebuildSyncedSecret: "Rebuilt the synced secret from the edge",
  DatabaseRestored: "The database was restored from a backup",
  AuditPruned: "Removed the oldest events of the audit",
  AuditGuardRestored: "Restored the guard of the audit",
};

/** The actions that a caller asks for, and those of the service itself, as filters name them. */
export const ASKED_ACTIONS: readonly string[] = Object.keys(ASKED);
export const OWN_ACTIONS: readonly string[] = Object.keys(BY_ITSELF);

/** An action apart from any event; the name itself where this page doesn't know it. */
export function wordsOfAction(action: string): string {
  const todo = ASKED[action]?.todo;
  return todo === undefined ? (BY_ITSELF[action] ?? action) : capital(todo);
}

/** What happened, in a few words, without the name of the resource. */
export function wordsOfEvent({ action, outcome }: Pick<AuditEvent, "action" | "outcome">): string {
  const asked = ASKED[action];
  if (asked === undefined || outcome === "OK") {
    return asked?.done ?? BY_ITSELF[action] ?? action;
  }
  switch (kindOfOutcome(outcome)) {
    case "begun":
      return `Began to ${asked.todo}`;
    case "denied":
      return `Was not allowed to ${asked.todo}`;
    default:
      return `Could not ${asked.todo}`;
  }
}

/** How it ended. `begun`: the result, if it is known, is an event of its own. */
export type OutcomeKind = "done" | "begun" | "denied" | "failed";

export function kindOfOutcome(outcome: string): OutcomeKind {
  switch (outcome) {
    case "OK":
      return "done";
    case "ACCEPTED":
      return "begun";
    case "PERMISSION_DENIED":
    case "UNAUTHENTICATED":
      return "denied";
    default:
      return "failed";
  }
}

const OUTCOMES: Readonly<Record<string, string>> = {
  OK: "Done",
  ACCEPTED: "Begun",
  PERMISSION_DENIED: "Not allowed",
  UNAUTHENTICATED: "Not known",
  INVALID_ARGUMENT: "Not valid",
  NOT_FOUND: "Not found",
  ALREADY_EXISTS: "Name taken",
  FAILED_PRECONDITION: "In the way",
  ABORTED: "Overtaken",
  UNAVAILABLE: "Not available",
  DEADLINE_EXCEEDED: "Too slow",
  RESOURCE_EXHAUSTED: "Too much",
  INTERNAL: "Service failed",
};

/** The outcomes that there are, as filters name them. */
export const OUTCOME_NAMES: readonly string[] = Object.keys(OUTCOMES);

/** An outcome in a word or two: that of a code, or what a condition's reason such as `VaultSecretDisabled` says in words. */
export function wordsOfOutcome(outcome: string): string {
  return OUTCOMES[outcome] ?? capital(outcome.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").replaceAll(/ [A-Z](?=[a-z])/g, (first) => first.toLowerCase()));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
