/** The resources that name synced secrets, each with its fields. */
import { idOf, type SecretUsage } from "@iotoperations/secret-service-client";

import type { UsesSearch } from "../../app/search";
import { inOrder, isBroken, namedBy } from "../../ui/usages";

/** A resource and all its fields that name a synced secret. */
export interface Resource {
  readonly id: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The broken ones first. */
  readonly usages: readonly SecretUsage[];
  /** How many of the fields name what is not there. */
  readonly broken: number;
  /** All that a search looks in, in small letters. */
  readonly text: string;
}

/** By resource: those that can't work first, then by kind and name. */
export function resourcesOf(usages: readonly SecretUsage[]): readonly Resource[] {
  const groups = new Map<string, SecretUsage[]>();
  for (const usage of usages) {
    const id = [usage.apiVersion, usage.kind, usage.namespace, usage.resource].join("/");
    groups.set(id, [...(groups.get(id) ?? []), usage]);
  }
  return [...groups].map(([id, group]) => resourceOf(id, group)).sort(compare);
}

function resourceOf(id: string, usages: readonly SecretUsage[]): Resource {
  const { apiVersion = "", kind = "", namespace = "", resource: name = "" } = usages[0] ?? {};
  const words = usages.flatMap((usage) => [usage.field, namedBy(usage)]);
  return {
    id,
    apiVersion,
    kind,
    namespace,
    name,
    usages: inOrder(usages),
    broken: usages.filter(isBroken).length,
    text: [apiVersion, kind, namespace, name, ...words].join("\n").toLowerCase(),
  };
}

function compare(one: Resource, other: Resource): number {
  const first = Number(other.broken > 0) - Number(one.broken > 0);
  return first || one.kind.localeCompare(other.kind, "en") || one.name.localeCompare(other.name, "en") || (one.id < other.id ? -1 : 1);
}

/** Every word of the search must be somewhere in the resource. */
export function matching(resources: readonly Resource[], { search = "", broken = false }: UsesSearch): readonly Resource[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return resources.filter((resource) => (!broken || resource.broken > 0) && words.every((word) => resource.text.includes(word)));
}

/** Where a resource names the key in a field beside, the field itself holds the name of the secret alone. */
const KEY_STANDS_BESIDE = /(?:^|\.)(?:name|secretRef|secretKeyRef)$/;

/** The text that stands in the field, or should. */
export function textOf(usage: SecretUsage): string {
  return KEY_STANDS_BESIDE.test(usage.field) ? idOf(usage.syncedSecret) : namedBy(usage);
}

/** What is wrong with a broken field. */
export function problemOf({ secretMissing, syncedSecret, key, resource }: SecretUsage): string {
  const id = idOf(syncedSecret);
  if (secretMissing) {
    return `The edge has no Secret ${id}, so ${resource} can't work.`;
  }
  return key === ""
    ? `${id} lacks a key that ${resource} needs, so ${resource} can't work. Add a reference with this key, or correct the field.`
    : `${id} has no key ${key}, so ${resource} can't work. Add a reference with this key, or correct the field.`;
}

/** Whether a secret in the vault can have this name at all. */
export function canBeVaultSecret(id: string): boolean {
  return /^[0-9a-zA-Z-]{1,127}$/.test(id);
}
