/** What adopting needs to know. */
import { InvalidRequestError } from "@iotoperations/secret-service-client";

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
