/** The form of the screen New: what is in it, and with what it begins. */
import { Encoding, Part, type SecretPurpose } from "@iotoperations/secret-service-client";
import { useCallback, useMemo, useState } from "react";

import { useLiveSecrets } from "../../api/hooks";
import type { CreateSearch } from "../../app/search";
import { assigned, keyFor, newDraft, vaultSecretOf, type ChangeReferences, type DraftReference } from "../../references/draft-reference";
import { proposedSyncedSecretName } from "../../references/names";
import { slotsOf, type Form } from "./form";

interface Entered extends Omit<Form, "name" | "purpose"> {
  /** Nothing as long as nobody typed one: then one is proposed. */
  readonly name: string | undefined;
}

const NOTHING: Entered = { references: [], name: undefined, description: "", labels: "", secretType: "" };

export function useForm(purposes: readonly SecretPurpose[], { purpose: chosen, vaultSecret = [] }: CreateSearch) {
  const { byName } = useLiveSecrets();
  // An address may name a purpose that this service doesn't have.
  const purpose = purposes.find(({ id }) => id === chosen);
  const isChosen = purpose !== undefined || chosen === ANYTHING;
  const [entered, setEntered] = useState<Entered>(() => ({ ...NOTHING, references: beginning(vaultSecret) }));
  const isTaken = useCallback((name: string) => byName.has(`syncedSecrets/${name}`), [byName]);
  const references = useMemo(() => assigned(entered.references, slotsOf(purpose)), [entered.references, purpose]);
  const proposed = useMemo(() => proposedSyncedSecretName(references.map(({ source }) => vaultSecretOf(source)), isTaken), [references, isTaken]);
  const form: Form = {
    ...entered,
    purpose: isChosen ? (purpose?.id ?? "") : undefined,
    references,
    name: entered.name ?? proposed,
  };
  const change = useCallback((changed: Partial<Omit<Form, "purpose" | "references">>) => setEntered((before) => ({ ...before, ...changed })), []);
  // As the slots take them, as they stand on the page: without one of them, the others stay where they are.
  const changeReferences = useCallback<ChangeReferences>(
    (changed) => setEntered((before) => ({ ...before, references: changed(assigned(before.references, slotsOf(purpose))) })),
    [purpose],
  );
  const clear = useCallback(() => setEntered(NOTHING), []);
  return {
    form,
    purpose,
    change,
    changeReferences,
    clear,
    isTaken: isTaken(form.name),
    isNamed: entered.name !== undefined,
    isDirty: entered.references.length > 0 || [entered.name ?? "", entered.description, entered.labels, entered.secretType].some((text) => text !== ""),
  };
}

/** How the address names no purpose at all. */
export const ANYTHING = "-";

/** With the vault secrets that the address names. */
function beginning(vaultSecrets: readonly string[]): DraftReference[] {
  const references: DraftReference[] = [];
  for (const id of vaultSecrets) {
    const pick = { vaultSecret: `vaultSecrets/${id}`, version: "", part: Part.UNSPECIFIED, encoding: Encoding.UNSPECIFIED };
    const source = { kind: "existing", pick } as const;
    const keys = references.map(({ key }) => key);
    references.push(newDraft(keyFor(source, keys), source));
  }
  return references;
}
