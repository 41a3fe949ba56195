import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConditionStatus, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { endsOf, isDue, isStale, nextEndOf } from "./standing";

const NOW = Date.UTC(2026, 10, 27);
const DAY = 86_400_000;
const after = (days: number) => timestampFromMs(NOW + days * DAY);
const secret = (parts: Exclude<MessageInitShape<typeof SyncedSecretSchema>, SyncedSecret>) => create(SyncedSecretSchema, { state: State.SYNCED, ...parts });
const next = (parts: Parameters<typeof secret>[0]) => nextEndOf(endsOf(secret(parts), NOW));

test("the nearest end counts, of a version or of the certificate in it", () => {
  const reference = { key: "a", expireTime: after(60), certificate: { expireTime: after(1) } };
  expect(next({ references: [{ key: "b", expireTime: after(2) }, reference] })).toMatchObject({ key: "a", what: "certificate", at: NOW + DAY, standing: "soon" });
  expect(next({ references: [{ expireTime: after(0) }] })?.standing).toBe("expired");
  expect(next({ references: [{ expireTime: after(31) }] })?.standing).toBe("later");
  expect(next({ references: [{}] })).toBeUndefined();
});

test("a revocation list that is not overdue is no news, and hides nothing that is", () => {
  const list = (days: number) => ({ key: "crl", certificate: { revocationList: true, expireTime: after(days) } });
  expect(next({ references: [list(2)] })).toMatchObject({ at: NOW + 2 * DAY, standing: "later" });
  expect(next({ references: [list(-1)] })?.standing).toBe("expired");
  expect(next({ references: [list(2), { key: "cert", expireTime: after(9) }] })).toMatchObject({ key: "cert", standing: "soon" });
});

test("what is due and can't be seen is told by the condition", () => {
  const conditions = [{ type: "Expiring", status: ConditionStatus.TRUE, reason: "Expired" }];
  expect(next({ conditions })).toMatchObject({ at: undefined, standing: "expired" });
  expect(next({ conditions, references: [{ expireTime: after(90) }] })).toMatchObject({ what: "secret", standing: "expired" });
  // What is seen says more than the condition.
  expect(endsOf(secret({ conditions, references: [{ expireTime: after(-1) }] }), NOW).filter(isDue)).toHaveLength(1);
});

test("what nobody compared with the vault for too long is not in sync, whatever its state says", () => {
  const compared = (status: ConditionStatus) => ({ conditions: [{ type: "Compared", status }] });
  expect(isStale(secret(compared(ConditionStatus.FALSE)))).toBe(true);
  expect(isStale(secret(compared(ConditionStatus.TRUE)))).toBe(false);
  expect(isStale(secret({ state: State.PENDING }))).toBe(true);
  expect(isStale(secret({ state: State.DELETING, ...compared(ConditionStatus.FALSE) }))).toBe(false);
});
