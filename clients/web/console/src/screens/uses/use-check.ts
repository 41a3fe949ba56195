/** The check of a manifest, which is kept hidden and only for as long as it may have to be sent again. */
import { InvalidRequestError, SecretValue, type CheckedResource } from "@iotoperations/secret-service-client";
import { useEffect, useRef, useState } from "react";

import { useClient } from "../../api/connection";

export type CheckState =
  | { readonly step: "asking" | "checking" }
  | { readonly step: "failed"; readonly error: unknown }
  | { readonly step: "checked"; readonly resources: readonly CheckedResource[]; readonly looked: Date };

const ASKING: CheckState = { step: "asking" };

export function useCheck() {
  const client = useClient();
  const [state, setState] = useState(ASKING);
  const manifest = useRef<SecretValue>(undefined);
  const calls = useRef(new AbortController());
  const forget = (): void => {
    calls.current.abort();
    manifest.current = undefined;
  };
  useEffect(() => forget, []);
  const again = (): void => {
    const { current } = manifest;
    if (current === undefined) {
      setState(ASKING);
      return;
    }
    const { signal } = (calls.current = new AbortController());
    setState({ step: "checking" });
    client.checkResource(current, { signal }).then(
      (resources) => {
        if (!signal.aborted) {
          manifest.current = undefined;
          setState({ step: "checked", resources, looked: new Date() });
        }
      },
      (error: unknown) => {
        if (!signal.aborted) {
          if (!mayPass(error)) {
            manifest.current = undefined;
          }
          setState({ step: "failed", error });
        }
      },
    );
  };
  const check = (text: string): void => {
    manifest.current = new SecretValue(text);
    again();
  };
  /** Stops a check that is under way, and goes back to the manifest. */
  const reset = (): void => {
    forget();
    setState(ASKING);
  };
  return { state, check, again, reset };
}

/** Whether the same manifest may pass later: what the service can't read it never can. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof InvalidRequestError);
}
