/** What adopting needs to know. */
import { InvalidRequestError, SecretServiceError } from "@iotoperations/secret-service-client";

/**
 * The keys that the service asks references for, where it refused an adoption because the edge doesn't tell where they come from.
 * Nobody but the service knows the keys of another tool's Secret, and it tells them in this message alone.
 */
export function keysAskedFor(error: unknown): string[] {
  if (!(error instanceof InvalidRequestError)) {
    return [];
  }
  const keys = error.fieldViolations
    .filter(({ field }) => field === "references")
    .flatMap(({ description }) => {
      const all = /and no other: (.+)$/.exec(description)?.[1]?.split(", ") ?? [];
      const one = /^Key "([^"]+)"/i.exec(description)?.[1];
      return one === undefined ? all : [...all, one];
    });
  return [...new Set(keys.map((key) => key.replace(/\.$/, "")))];
}

/** Whether there is something at the edge that could be adopted: it was refused for another reason than that it isn't there. */
export function isAdoptable(error: unknown): boolean {
  return error instanceof SecretServiceError && keysAskedFor(error).length > 0;
}
