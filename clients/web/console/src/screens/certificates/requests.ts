/** Requests as command lines show them. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SecretReferenceSchema } from "@iotoperations/secret-service-client/v1";

/** A reference whose file becomes a new vault secret. */
export function referenceInit(key: string, vaultSecret: string): MessageInitShape<typeof SecretReferenceSchema> {
  // Lines have a placeholder in the place of the file.
  return { key, vaultSecret: `vaultSecrets/${vaultSecret}`, create: { data: Uint8Array.of(0) } };
}
