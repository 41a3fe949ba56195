/** Which other synced secrets refer to a vault secret, and how far the answer goes. */
import type { LiveSnapshot } from "../../api/live";
import { messageOf } from "../../ui/problem";

/** The names of the others; `doubt` says why there may be more or fewer, and is empty where there are not. */
export function othersOf(
  { status, secrets, error }: Pick<LiveSnapshot, "status" | "secrets" | "error">,
  name: string,
  vaultSecret: string,
): { readonly names: readonly string[]; readonly doubt: string } {
  const names = secrets.filter((one) => one.name !== name && one.references.some((reference) => reference.vaultSecret === vaultSecret));
  return { names: names.map((one) => one.name), doubt: doubtOf() };

  function doubtOf(): string {
    switch (status) {
      case "live":
        return "";
      case "loading":
        return "looking…";
      case "interrupted":
        return names.length === 0 ? "nothing else was known when the connection broke" : "maybe others since the connection broke";
      case "failed":
        return error === undefined ? "unknown" : `unknown: ${messageOf(error)}`;
    }
  }
}
