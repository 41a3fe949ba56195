/** Looks at the versions of a reference's vault secret, and again where what was read is older than the edge. */
import { idOf, type SecretReference } from "@iotoperations/secret-service-client";
import { useEffect } from "react";

import { useVaultSecretVersions } from "../../api/hooks";
import { messageOf } from "../../ui/problem";
import { missingIn, type VersionsLook } from "./versions";

type Looked = Pick<SecretReference, "vaultSecret" | "version" | "syncedVersion">;

export function useVersionsLook(reference: Looked, wanted: boolean): { readonly look: VersionsLook; readonly lookedAt: number } {
  const { data, error, isFetching, hasNextPage, dataUpdatedAt, refetch } = useVaultSecretVersions(idOf(reference.vaultSecret), wanted);
  const versions = data?.pages.flatMap((page) => page.versions);
  const missing = missingIn({ versions, hasMore: hasNextPage }, reference);
  // Once for each version: what the vault doesn't list then, it doesn't have.
  useEffect(() => {
    if (wanted && missing !== "") {
      void refetch();
    }
  }, [wanted, missing, refetch]);
  const problem = error === null ? "" : messageOf(error);
  return { look: { versions, hasMore: hasNextPage, isLooking: isFetching, problem }, lookedAt: dataUpdatedAt };
}
