/** What is entered on the screen New, what is wrong with it, and what it asks the service for. */
import {
  SecretServiceError,
  type PurposeField,
  type SecretPurpose,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";

import { textToPaste } from "../../api/hooks";
import { referenceOf, vaultSecretOf, type DraftReference, type Slot } from "../../references/draft-reference";
import { problemOfKey, problemOfSyncedSecretName, wordsOfEncoding } from "../../references/names";
import type { ReferenceProblem } from "../../references/reference-list";
import { PART_NAMES } from "../../references/vault-pick";

export interface Form {
  /** The id of a purpose; empty for anything else, and nothing as long as none was chosen. */
  readonly purpose: string | undefined;
  readonly references: readonly DraftReference[];
  readonly name: string;
  readonly description: string;
  /** Lines `name=value`. */
  readonly labels: string;
  /** Empty: the purpose's first one, or Opaque. */
  readonly secretType: string;
}

/** The keys that a form asks for. */
export function slotsOf(purpose: SecretPurpose | undefined): readonly Slot[] {
  return purpose?.keys ?? [];
}

/** Whether keys of any name may be added. */
export function takesAnyKey(purpose: SecretPurpose | undefined): boolean {
  return purpose === undefined || purpose.anyKeys;
}

/** What is missing or wrong, as far as the page can tell; in the order of the form. */
export function missingIn(form: Form, purpose: SecretPurpose | undefined, isTaken: boolean): string[] {
  const { references, name } = form;
  const missing: string[] = [];
  if (form.purpose === undefined) {
    missing.push("Choose what it is for.");
  }
  for (const slot of slotsOf(purpose)) {
    if (slot.required && references.every((reference) => reference.slot !== slot.key)) {
      missing.push(`${slot.title}: add a reference.`);
    }
  }
  if (references.length === 0 && slotsOf(purpose).every(({ required }) => !required)) {
    missing.push("Add at least one reference.");
  }
  for (const { id, key } of references) {
    const others = references.filter((other) => other.id !== id).map((other) => other.key);
    const problem = problemOfKey(key, others);
    if (problem !== undefined) {
      missing.push(`Key “${key}”: ${problem}`);
    }
  }
  const named = isTaken ? "A synced secret has this name." : problemOfSyncedSecretName(name);
  if (named !== undefined) {
    missing.push(`Synced secret name: ${named}`);
  }
  const { problem } = labelsOf(form.labels);
  return problem === undefined ? missing : [...missing, `Labels: ${problem}`];
}

/** Labels of lines `name=value`. */
export function labelsOf(text: string): { labels: Record<string, string>; problem?: string } {
  const labels: Record<string, string> = {};
  for (const line of text.split("\n").map((one) => one.trim())) {
    const [name = "", value, ...more] = line.split("=").map((part) => part.trim());
    if (line === "") {
      continue;
    }
    if (name === "" || value === undefined || more.length > 0) {
      return { labels, problem: `Write one label a line, as name=value: “${line}” is none.` };
    }
    labels[name] = value;
  }
  return { labels };
}

/** What `createSyncedSecret` takes beside the id and the references. */
export function optionsOf(form: Form): { purpose?: string; description?: string; secretType?: string; labels?: Record<string, string> } {
  const { labels } = labelsOf(form.labels);
  return {
    ...(form.purpose !== undefined && form.purpose !== "" && { purpose: form.purpose }),
    ...(form.description.trim() !== "" && { description: form.description.trim() }),
    ...(form.secretType !== "" && { secretType: form.secretType }),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}

/** Another text for every other content; without a value in it. */
export function revisionOf(form: Form): string {
  const references = form.references.map(({ key, source }) => [key, source.kind === "new" ? source.draft.revision : source.pick]);
  return JSON.stringify([form.name, optionsOf(form), references]);
}

// ---- What the service says ----

/** An error's words, at the fields that they are about. */
export interface FormProblems {
  readonly name?: string;
  readonly labels?: string;
  readonly secretType?: string;
  /** By the id of the reference. */
  readonly references: ReadonlyMap<string, ReferenceProblem>;
  /** What is about no field of the form. */
  readonly rest: readonly string[];
}

const REFERENCE = /^synced_secret\.references\[(\d+)\](?:\.(.*))?$/;

export function problemsIn(error: unknown, form: Form): FormProblems {
  const references = new Map<string, ReferenceProblem>();
  const fields: { name?: string; labels?: string; secretType?: string } = {};
  const rest: string[] = [];
  const violations = error instanceof SecretServiceError ? error.fieldViolations : [];
  for (const { field, description } of violations) {
    const [, index, part = ""] = REFERENCE.exec(field) ?? [];
    const reference = index === undefined ? undefined : form.references[Number(index)];
    if (reference !== undefined) {
      const at = part === "key" ? "key" : "source";
      const before = references.get(reference.id) ?? {};
      references.set(reference.id, { ...before, [at]: joined(before[at], description) });
    } else if (field === "synced_secret_id") {
      fields.name = joined(fields.name, description);
    } else if (field.startsWith("synced_secret.labels")) {
      fields.labels = joined(fields.labels, description);
    } else if (field === "synced_secret.secret_type") {
      fields.secretType = joined(fields.secretType, description);
    } else {
      rest.push(description);
    }
  }
  return { ...fields, references, rest };
}

function joined(before: string | undefined, description: string): string {
  return before === undefined ? ended(description) : `${before} ${ended(description)}`;
}

function ended(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** What creating will do, as the service's answer to the check has it. */
export function wordsOfCheck(form: Form, checked: SyncedSecret): string[] {
  const created = form.references.flatMap(({ source }) => (source.kind === "new" ? [vaultSecretOf(source)] : []));
  const keys = form.references.map(({ key }) => key).join(", ");
  return [
    ...(created.length > 0 ? [`Azure Key Vault gets ${created.join(", ")}.`] : ["Nothing is changed in Azure Key Vault."]),
    `The cluster gets the Secret ${form.name} of the type ${checked.secretType || "Opaque"} with ${form.references.length === 1 ? "the key" : "the keys"} ${keys}.`,
  ];
}

// ---- What to do with it ----

/** A text to paste into a resource, and where. */
export interface Paste {
  readonly text: string;
  readonly title: string;
  readonly fields: readonly Pick<PurposeField, "kind" | "field">[];
}

/** What names the synced secret, or a key of it. */
export function pastesOf(name: string, references: readonly Pick<DraftReference, "key" | "slot">[], purpose: SecretPurpose | undefined): Paste[] {
  const fields = purpose?.fields ?? [];
  const whole = fields.filter(({ key }) => key === "");
  const single = references.map(({ key, slot }) => ({
    text: textToPaste(name, key),
    title: purpose?.keys.find((one) => one.key === slot)?.title ?? key,
    fields: fields.filter((field) => field.key !== "" && field.key === slot),
  }));
  const named = { text: name, title: "The whole secret", fields: whole };
  if (purpose === undefined) {
    return [...single, named];
  }
  return [...single.filter((paste) => paste.fields.length > 0), ...(whole.length > 0 || single.every((paste) => paste.fields.length === 0) ? [named] : [])];
}

/** The words of the CLI that do the same; it asks for the values of new secrets. */
export function wordsOfCommand(form: Form): string[] {
  const { purpose, description, secretType, labels } = optionsOf(form);
  const words = ["secrets", "create", form.name];
  for (const { key, source } of form.references) {
    if (source.kind === "new") {
      words.push("--new", `${key}=${vaultSecretOf(source)}`);
      continue;
    }
    const { version, part, encoding } = source.pick;
    const partName = PART_NAMES[part];
    const encodingName = wordsOfEncoding(encoding).replace("unchanged", "none");
    words.push("--from", `${key}=${vaultSecretOf(source)}${version === "" ? "" : `@${version}`}`);
    words.push(...(partName === undefined ? [] : ["--part", `${key}=${partName}`]));
    words.push(...(encodingName === "" ? [] : ["--encoding", `${key}=${encodingName}`]));
  }
  const given = { "--purpose": purpose, "--description": description, "--type": secretType };
  words.push(...Object.entries(given).flatMap(([flag, text]) => (text === undefined ? [] : [flag, text])));
  words.push(...Object.entries(labels ?? {}).flatMap(([label, text]) => ["--label", `${label}=${text}`]));
  return words;
}

/** The request of the form without its values, for the lines that do the same. */
export function requestOf(form: Form) {
  const { purpose = "", ...rest } = optionsOf(form);
  const references = form.references.map(referenceOf).map(({ create, ...reference }) => {
    const { key, vaultSecret, version = "", part = 0, encoding = 0 } = reference;
    return { key, vaultSecret, version, part, encoding, ...(create !== undefined && { create: { value: "-" } }) };
  });
  return { syncedSecretId: form.name, purpose, syncedSecret: { ...rest, references } };
}
