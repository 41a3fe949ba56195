import { Origin, State } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { toCsv, toJson } from "./export";
import { rowOf } from "./rows";

const secret = create(SyncedSecretSchema, {
  name: "syncedSecrets/edp1secrets",
  state: State.DEGRADED,
  origin: Origin.MANAGED,
  references: [
    { key: "=username", vaultSecret: "vaultSecrets/plc-user", syncedVersion: "0a" },
    { key: 'pass"word', vaultSecret: "vaultSecrets/plc-pass" },
  ],
  syncTime: timestampFromMs(0),
});

test("a line for each, with commas and quotes as RFC 4180 has them, and no formula", () => {
  const [head, line, rest] = toCsv([rowOf(secret, [{ id: "Device/a", kind: "Device", resource: "a" }])]).split("\r\n");
  expect(head).toBe("name,state,origin,keys,vault secrets,used by,sync time,expire time");
  expect(line).toBe(`edp1secrets,degraded,managed,"'=username pass""word",plc-user plc-pass,Device/a,1970-01-01T00:00:00.000Z,`);
  expect(rest).toBe("");
});

test("what nobody has looked at is unknown, and not nothing", () => {
  expect(toCsv([rowOf(secret, undefined)])).toContain(",unknown,");
  expect(JSON.parse(toJson([rowOf(secret, undefined)]))).toMatchObject([{ name: "edp1secrets", usedBy: null, state: "degraded" }]);
  expect(JSON.parse(toJson([rowOf(secret, [])]))).toMatchObject([{ usedBy: [] }]);
});
