/** Whether a checked resource can work, in a word. */
import { canWork, ConditionStatus, type CheckedResource } from "@iotoperations/secret-service-client";

export interface Verdict {
  readonly label: string;
  readonly look: "fine" | "limited" | "unknown" | "broken";
}

/** The worst that is known of it; what nobody can tell is never called fine. */
export function verdictOf(resource: CheckedResource): Verdict {
  if (!canWork(resource)) {
    return { label: "Can't work", look: "broken" };
  }
  const found = [...resource.problems, ...resource.usages.flatMap(({ problem }) => problem ?? [])];
  if (resource.kindUnknown || found.some(({ status }) => status !== ConditionStatus.TRUE)) {
    return { label: "Unknown", look: "unknown" };
  }
  return found.length > 0 ? { label: "Works for now", look: "limited" } : { label: "Can work", look: "fine" };
}
