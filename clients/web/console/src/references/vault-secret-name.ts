/** Whether a name is free in the vault, asked while it is typed. */
import { AlreadyExistsError, SecretServiceError } from "@iotoperations/secret-service-client";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { useClient } from "../api/connection";
import { messageOf } from "../ui/problem";
import { problemOfVaultSecretName } from "./names";

/** What is known of a name. */
export type NameState =
  | { readonly state: "empty" | "checking" | "free" }
  /** `deleted`: soft-deleted, and can be recovered. `unknown`: the service could not tell, for the reason in `message`. */
  | { readonly state: "invalid" | "taken" | "deleted" | "unknown"; readonly message: string };

const PAUSE_MS = 350;
/** Any value does: the service only checks. */
const ANY = "-";

/** The text as it is once nobody has typed for a moment. */
export function useSettled<T>(value: T, pauseMs = PAUSE_MS): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pauseMs);
    return () => clearTimeout(timer);
  }, [value, pauseMs]);
  return settled;
}

/** Whether a vault secret can be created under a name. `others` are the names that the same form creates. */
export function useNameState(name: string, others: readonly string[] = [], enabled = true): NameState {
  const client = useClient();
  const settled = useSettled(name);
  const problem = problemOfVaultSecretName(name);
  const doubled = others.some((other) => other.toLowerCase() === name.toLowerCase());
  const asked = enabled && problem === undefined && !doubled && settled === name;
  const { data, error } = useQuery({
    queryKey: ["vault-secret-name", settled],
    queryFn: async ({ signal }): Promise<NameState> => {
      try {
        await client.createVaultSecret(settled, ANY, { validateOnly: true, signal });
        return { state: "free" };
      } catch (thrown) {
        const found = stateOfRefusal(thrown);
        if (found === undefined) {
          throw thrown;
        }
        return found;
      }
    },
    enabled: asked,
  });
  if (name === "") {
    return { state: "empty" };
  }
  if (problem !== undefined) {
    return { state: "invalid", message: problem };
  }
  if (doubled) {
    return { state: "invalid", message: "Another reference here creates a vault secret with this name." };
  }
  if (error !== null && asked) {
    return { state: "unknown", message: messageOf(error) };
  }
  return data === undefined || !asked ? { state: "checking" } : data;
}

/** What a refusal says of the name; nothing where it says something else. */
export function stateOfRefusal(error: unknown): NameState | undefined {
  if (error instanceof AlreadyExistsError) {
    return { state: "taken", message: "Azure Key Vault has a secret with this name." };
  }
  if (!(error instanceof SecretServiceError)) {
    return undefined;
  }
  if (error.reason === "VAULT_SECRET_SOFT_DELETED") {
    return { state: "deleted", message: "A deleted secret in Azure Key Vault still has this name." };
  }
  const isOfName = error.fieldViolations.some(({ field }) => field === "vault_secret_id");
  return isOfName || error.reason === "VAULT_SECRET_BEING_DELETED" || error.reason === "VAULT_SECRET_MANAGED"
    ? { state: "invalid", message: error.message }
    : undefined;
}
