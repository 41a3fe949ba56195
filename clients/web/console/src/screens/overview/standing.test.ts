import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ConditionStatus, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretUsageSchema, SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { brokenOf, countByState, expiriesOf, mayBeVaultSecret, staleOf, unmanagedOf } from "./standing";

const NOW = new Date("2026-11-27T12:00:00Z");
const days = (number: number) => timestampFromDate(new Date(NOW.getTime() + number * 86_400_000));
const secret = (id: string, parts: Exclude<MessageInitShape<typeof SyncedSecretSchema>, SyncedSecret> = {}) =>
  create(SyncedSecretSchema, { state: State.SYNCED, ...parts, name: `syncedSecrets/${id}` });
const since = (type: string, ago: number, status = ConditionStatus.FALSE) => ({ type, status, lastTransitionTime: days(-ago), message: type });

test("each state is counted, and what another tool made", () => {
  const secrets = [secret("a"), secret("b", { state: State.FAILED }), secret("c", { origin: Origin.UNMANAGED })];
  expect([...countByState(secrets)]).toEqual([
    [State.SYNCED, 2],
    [State.FAILED, 1],
  ]);
  expect(unmanagedOf(secrets)).toBe(1);
});

test("what has been stale for longest comes first, and what counts as synced but was not compared is stale, too", () => {
  const stale = staleOf([
    secret("new", { state: State.PENDING, conditions: [since("Synced", 1)] }),
    secret("old", { state: State.DEGRADED, conditions: [since("Synced", 9), since("Compared", 99)] }),
    secret("unseen", { conditions: [since("Synced", 50, ConditionStatus.TRUE), since("Compared", 5)] }),
    secret("well", { conditions: [since("Compared", 7, ConditionStatus.TRUE)] }),
    secret("leaving", { state: State.DELETING, conditions: [since("Synced", 8)] }),
  ]);
  expect(stale.map(({ secret: { name }, why }) => [name, why])).toEqual([
    ["syncedSecrets/old", "Synced"],
    ["syncedSecrets/unseen", "Compared"],
    ["syncedSecrets/new", "Synced"],
  ]);
});

test("what expired and what expires within 30 days, versions and certificates, the earliest first", () => {
  const references = [
    { key: "later", expireTime: days(31) },
    { key: "soon", expireTime: days(29) },
    { key: "over", expireTime: days(-1) },
    { key: "cert", certificate: { expireTime: days(3) } },
    { key: "list", certificate: { expireTime: days(2), revocationList: true } },
    { key: "overdue", certificate: { expireTime: days(-2), revocationList: true } },
  ];
  const found = expiriesOf([secret("a", { references })], NOW);
  expect(found.map(({ key, what, standing }) => [key, what, standing])).toEqual([
    ["overdue", "certificate", "expired"],
    ["over", "version", "expired"],
    ["cert", "certificate", "soon"],
    ["soon", "version", "soon"],
  ]);
});

test("a condition tells of what the caller can't see", () => {
  const hidden = secret("hidden", { conditions: [{ ...since("Expiring", 0, ConditionStatus.TRUE), reason: "Expired" }] });
  expect(expiriesOf([hidden], NOW)).toMatchObject([{ key: "", what: "secret", standing: "expired", message: "Expiring" }]);
});

test("broken uses: those that are certain first", () => {
  const use = (resource: string, parts: object) => create(SecretUsageSchema, { kind: "Device", resource, ...parts });
  const broken = brokenOf([
    use("c", { secretMissing: true, guessed: true }),
    use("b", { keyMissing: true }),
    use("a", { secretMissing: true }),
    use("works", {}),
  ]);
  expect(broken.map(({ resource }) => resource)).toEqual(["a", "b", "c"]);
});

test("not every name can be that of a vault secret", () => {
  expect(mayBeVaultSecret("syncedSecrets/edp1-password")).toBe(true);
  expect(mayBeVaultSecret("syncedSecrets/edp1.secrets")).toBe(false);
});
