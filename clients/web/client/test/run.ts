/** Parts of names that no other test has. */
import { randomBytes } from "node:crypto";

/** Eight hex digits, as the scenario's request ids want them. */
export function newRun(): string {
  return randomBytes(4).toString("hex");
}
