/** References while they are put together: from which secret, under which key. */
import { idOf, newId, type PurposeKey, type Reference } from "@iotoperations/secret-service-client";

import { proposedKey } from "./names";
import { newReferenceOf, type NewSecretDraft } from "./secret-draft";
import { pickedReferenceOf, type VaultPick } from "./vault-pick";

/** Where the value of a key comes from. */
export type Source =
  | { readonly kind: "new"; readonly draft: NewSecretDraft }
  | { readonly kind: "existing"; readonly pick: VaultPick };

export interface DraftReference {
  /** Of this reference on this page. */
  readonly id: string;
  readonly key: string;
  /** The key of the purpose that it is for; nothing for a key of any name. */
  readonly slot?: string;
  readonly source: Source;
}

/** Changes references: by what they are then, for what was begun before they became so. */
export type ChangeReferences = (change: (before: readonly DraftReference[]) => readonly DraftReference[]) => void;

/** A key that a purpose asks for. */
export type Slot = Pick<PurposeKey, "key" | "title" | "required" | "freeName">;

export function newDraft(key: string, source: Source, slot?: string): DraftReference {
  return { id: newId(), key, source, ...(slot !== undefined && { slot }) };
}

/** As it is sent. */
export function referenceOf({ key, source }: DraftReference): Reference {
  return source.kind === "new" ? newReferenceOf(key, source.draft) : pickedReferenceOf(key, source.pick);
}

/** The name of its vault secret, without `vaultSecrets/`. */
export function vaultSecretOf(source: Source): string {
  return source.kind === "new" ? source.draft.vaultSecret : idOf(source.pick.vaultSecret);
}

/** A key for what has none yet: after its file, or its vault secret; another one than those that are there. */
export function keyFor(source: Source, others: readonly string[]): string {
  const file = source.kind === "new" ? source.draft.fileName : undefined;
  const key = proposedKey(file ?? vaultSecretOf(source)) || "value";
  let proposed = key;
  for (let number = 2; others.includes(proposed); number++) {
    const dot = key.lastIndexOf(".");
    proposed = dot > 0 ? `${key.slice(0, dot)}-${number}${key.slice(dot)}` : `${key}-${number}`;
  }
  return proposed;
}

/**
 * The references as other slots take them, for a purpose that was chosen later: by slot, by key, and then in order the required
 * slots first. What no slot takes keeps its key.
 */
export function assigned(references: readonly DraftReference[], slots: readonly Slot[]): DraftReference[] {
  const free = new Map(slots.map((slot) => [slot.key, slot]));
  const taken = new Map<DraftReference, Slot>();
  const take = (reference: DraftReference, slot: Slot | undefined): void => {
    if (slot !== undefined && !taken.has(reference)) {
      taken.set(reference, slot);
      free.delete(slot.key);
    }
  };
  for (const reference of references) {
    take(reference, free.get(reference.slot ?? "") ?? free.get(reference.key));
  }
  for (const reference of references) {
    const open = [...free.values()];
    take(reference, open.find(({ required }) => required) ?? open[0]);
  }
  return references.map((reference) => {
    const slot = taken.get(reference);
    const { id, key, source } = reference;
    if (slot === undefined) {
      return { id, key, source };
    }
    const keepsKey = slot.freeName && reference.slot === slot.key;
    return { id, source, slot: slot.key, key: keepsKey ? key : slot.key };
  });
}

/** Whether the values of a key have several lines. */
export function hasLines(key: string, title = ""): boolean {
  return /\.(pem|crt|cer|der|crl|key|pfx|p12|json)$|cert|privatekey|dockerconfigjson/i.test(key) || /certificate|\bkey\b.*x509|x509/i.test(title);
}
