/** Checks and creates: what was stored by an attempt that failed is found by the next one, which is the same request. */
import { newId, SecretServiceError, type SyncedSecret } from "@iotoperations/secret-service-client";
import { useCallback, useRef, useState } from "react";

import { isOutcomeUnknown, useIsHere } from "../../api/change";
import { useClient } from "../../api/connection";
import { useLookAgain } from "../../api/hooks";
import { referenceOf } from "../../references/draft-reference";
import { useNotify } from "../../ui/notify";
import { optionsOf, revisionOf, type Form } from "./form";
import { hasLeft, lookFor, newNamesOf, type LeftBehind } from "./left";

export type Creation =
  | { readonly phase: "idle" }
  | { readonly phase: "checking" | "creating" | "looking"; readonly form: Form }
  | { readonly phase: "checked"; readonly form: Form; readonly answer: SyncedSecret }
  /** `isOpen`: something of it may be there, and the same content again goes on with the same request. */
  | { readonly phase: "refused"; readonly form: Form; readonly error: unknown; readonly left: LeftBehind | undefined; readonly isOpen: boolean }
  | { readonly phase: "created"; readonly secret: SyncedSecret; readonly stored: readonly string[] };

/** The time for storing: the vault may be slow, and each new secret is a call of its own. */
const CREATE_MS = 60_000;

export function useCreation() {
  const client = useClient();
  const lookAgain = useLookAgain();
  const notify = useNotify();
  const isHere = useIsHere();
  const [creation, setCreation] = useState<Creation>({ phase: "idle" });
  // `isOpen`: something of it may be there, so that it would not pass the check: its names are taken, by itself.
  const request = useRef<{ readonly id: string; readonly revision: string; readonly isOpen: boolean } | undefined>(undefined);

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
      const isLeft = (): boolean => !isHere.current;
      const before = request.current?.revision === revision ? request.current : undefined;
      if (before?.isOpen !== true && !(await check(form))) {
        return false;
      }
      if (isLeft()) {
        // Whoever left while it was checked was told that it is not created.
        return false;
      }
      const { id } = before ?? { id: newId() };
      setCreation({ phase: "creating", form });
      try {
        const secret = await client.createSyncedSecret(form.name, form.references.map(referenceOf), {
          ...optionsOf(form),
          requestId: id,
          timeoutMs: CREATE_MS,
        });
        request.current = undefined;
        setCreation({ phase: "created", secret, stored: newNamesOf(form) });
        if (isLeft()) {
          notify.done(`${form.name} is created.`);
        }
        return true;
      } catch (error) {
        if (isLeft()) {
          notify.failed(error, `Creating ${form.name} failed.`);
          return false;
        }
        setCreation({ phase: "looking", form });
        const left = await lookFor(client, form, error);
        const isOpen = !isOfRequestId(error) && (hasLeft(left) || isOutcomeUnknown(error));
        // The same request until it succeeds: what it did is never done twice. Only one that can't count any more is given up.
        request.current = isOfRequestId(error) ? undefined : { id, revision, isOpen };
        setCreation({ phase: "refused", form, error, left, isOpen });
        return false;
      } finally {
        void lookAgain();
      }
    },
    [client, check, lookAgain, notify, isHere],
  );

  const reset = useCallback(() => setCreation({ phase: "idle" }), []);
  return { creation, check, create, reset };
}

/** Whether the service refuses the id of the request itself, such as one of a database that is no more. */
function isOfRequestId(error: unknown): boolean {
  return error instanceof SecretServiceError && error.fieldViolations.some(({ field }) => field === "request_id");
}
