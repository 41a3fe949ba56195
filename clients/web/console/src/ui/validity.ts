/** Whether a version or a certificate counts now, in words. */
import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";

/** From how long before its end on something counts as expiring soon: as the service's condition `Expiring` does. */
const SOON_MS = 30 * 86_400_000;

export type ValidityKind = "disabled" | "expired" | "soon" | "early" | "valid";

/** What it is, and the word for it; empty where there is nothing to say. */
export interface Validity {
  readonly kind: ValidityKind;
  readonly label: string;
}

interface Dated {
  readonly enabled?: boolean | undefined;
  readonly notBeforeTime?: Timestamp | undefined;
  readonly expireTime?: Timestamp | undefined;
  /** Whether it is a list of revoked certificates: it lives for days, so it is no news until the next one is overdue. */
  readonly revocationList?: boolean | undefined;
}

/** What is worst of it. */
export function validityOf({ enabled = true, notBeforeTime, expireTime, revocationList = false }: Dated, now = new Date()): Validity {
  const left = expireTime && timestampMs(expireTime) - now.getTime();
  if (!enabled) {
    return { kind: "disabled", label: "Disabled" };
  }
  if (left !== undefined && left <= 0) {
    return { kind: "expired", label: "Expired" };
  }
  if (notBeforeTime !== undefined && timestampMs(notBeforeTime) > now.getTime()) {
    return { kind: "early", label: "Not yet valid" };
  }
  return left !== undefined && left <= SOON_MS && !revocationList ? { kind: "soon", label: "Expires soon" } : { kind: "valid", label: "" };
}

/** The first of two points in time, where there are any. */
export function earliest(one: Timestamp | undefined, other: Timestamp | undefined): Timestamp | undefined {
  if (one === undefined || other === undefined) {
    return one ?? other;
  }
  return timestampMs(one) <= timestampMs(other) ? one : other;
}
