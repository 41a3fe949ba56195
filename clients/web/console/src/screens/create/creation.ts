/** Checks and creates: what was stored by an attempt that failed is found by the next one, which is the same request. */
import {
  DeadlineExceededError,
  newId,
  NotFoundError,
  type SyncedSecret,
  UnauthenticatedError,
  UnavailableError,
} from "@iotoperations/secret-service-client";
import { useCallback, useRef, useState } from "react";

import { useClient } from "../../api/connection";
import { useLookAgain } from "../../api/hooks";
import { referenceOf, vaultSecretOf } from "../../references/draft-reference";
import { optionsOf, revisionOf, type Form } from "./form";

/** What an attempt left behind that was refused or whose answer was lost. */
export interface LeftBehind {
  /** New vault secrets by name: whether the vault has them; nothing where that is unknown. */
  readonly vaultSecrets: ReadonlyMap<string, boolean | undefined>;
  readonly syncedSecret: SyncedSecret | undefined;
}

export type Creation =
  | { readonly phase: "idle" }
  | { readonly phase: "checking" | "creating"; readonly form: Form }
  | { readonly phase: "checked"; readonly form: Form; readonly answer: SyncedSecret }
  /** `isOpen`: something of it may be there, and the same content again goes on with the same request. */
  | { readonly phase: "refused"; readonly form: Form; readonly error: unknown; readonly left: LeftBehind | undefined; readonly isOpen: boolean }
  | { readonly phase: "created"; readonly secret: SyncedSecret; readonly stored: readonly string[] };

/** The time for storing: the vault may be slow, and each new secret is a call of its own. */
const CREATE_MS = 60_000;

export function useCreation() {
  const client = useClient();
  const lookAgain = useLookAgain();
  const [creation, setCreation] = useState<Creation>({ phase: "idle" });
  const request = useRef<{ id: string; revision: string } | undefined>(undefined);

  const check = useCallback(
    async (form: Form): Promise<boolean> => {
      setCreation({ phase: "checking", form });
      try {
        const answer = await client.createSyncedSecret(form.name, form.references.map(referenceOf), {
          ...optionsOf(form),
          validateOnly: true,
        });
        setCreation({ phase: "checked", form, answer });
        return true;
      } catch (error) {
        setCreation({ phase: "refused", form, error, left: undefined, isOpen: false });
        return false;
      }
    },
    [client],
  );

  const create = useCallback(
    async (form: Form): Promise<boolean> => {
      const revision = revisionOf(form);
      const isAgain = request.current?.revision === revision;
      // An attempt that stored something would not pass the check: its names are taken, by itself.
      if (!isAgain && !(await check(form))) {
        return false;
      }
      request.current = isAgain && request.current !== undefined ? request.current : { id: newId(), revision };
      setCreation({ phase: "creating", form });
      try {
        const secret = await client.createSyncedSecret(form.name, form.references.map(referenceOf), {
          ...optionsOf(form),
          requestId: request.current.id,
          timeoutMs: CREATE_MS,
        });
        request.current = undefined;
        setCreation({ phase: "created", secret, stored: newNamesOf(form) });
        return true;
      } catch (error) {
        const left = await lookFor(client, form);
        const isOpen = hasLeft(left) || isOutcomeUnknown(error);
        if (!isOpen) {
          // Nothing came of it: the next attempt is checked again.
          request.current = undefined;
        }
        setCreation({ phase: "refused", form, error, left, isOpen });
        return false;
      } finally {
        void lookAgain();
      }
    },
    [client, check, lookAgain],
  );

  const reset = useCallback(() => setCreation({ phase: "idle" }), []);
  return { creation, check, create, reset };
}

/** Whether something is there by now, or nobody knows. */
export function hasLeft({ vaultSecrets, syncedSecret }: LeftBehind): boolean {
  return syncedSecret !== undefined || [...vaultSecrets.values()].some((there) => there !== false);
}

/** Whether no answer came, so that the service may have done it, or do it yet. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof UnavailableError || error instanceof DeadlineExceededError || error instanceof UnauthenticatedError;
}

function newNamesOf(form: Form): string[] {
  return form.references.flatMap(({ source }) => (source.kind === "new" ? [vaultSecretOf(source)] : []));
}

/** Looks at what is there of what was to be created. */
async function lookFor(client: ReturnType<typeof useClient>, form: Form): Promise<LeftBehind> {
  const looks = newNamesOf(form).map(async (name) => [name, await isThere(() => client.getVaultSecret(`vaultSecrets/${name}`))] as const);
  const syncedSecret = client.getSyncedSecret(`syncedSecrets/${form.name}`, { usages: false }).catch(() => undefined);
  return { vaultSecrets: new Map(await Promise.all(looks)), syncedSecret: await syncedSecret };
}

async function isThere(get: () => Promise<unknown>): Promise<boolean | undefined> {
  try {
    await get();
    return true;
  } catch (error) {
    return error instanceof NotFoundError ? false : undefined;
  }
}
