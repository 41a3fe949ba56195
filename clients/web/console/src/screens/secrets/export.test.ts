import { Origin, State } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

import { fileNameOf, toCsv, toJson } from "./export";
import { rowOf } from "./rows";

const NOW = Date.UTC(2026, 10, 27, 20, 46);

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
  const [head, line, rest] = toCsv([rowOf(secret, [{ id: "Device/a", kind: "Device", resource: "a" }])], NOW).split("\r\n");
  expect(head).toBe("name,state,origin,keys,vault secrets,used by,sync time,expire time");
  expect(line).toBe(`edp1secrets,degraded,managed,"'=username pass""word",plc-user plc-pass,Device/a,1970-01-01T00:00:00.000Z,`);
  expect(rest).toBe("");
});

test("what nobody has looked at is unknown, and not nothing", () => {
  expect(toCsv([rowOf(secret, undefined)], NOW)).toContain(",unknown,");
  expect(JSON.parse(toJson([rowOf(secret, undefined)], NOW))).toMatchObject({
    syncedSecrets: [{ name: "edp1secrets", usedBy: null, state: "degraded" }],
  });
  expect(JSON.parse(toJson([rowOf(secret, [])], NOW))).toMatchObject({ syncedSecrets: [{ usedBy: [] }] });
});

test("a file says as of when it was so", () => {
  expect(fileNameOf("csv", NOW)).toBe("synced-secrets-2026-11-27T2046Z.csv");
  expect(JSON.parse(toJson([], NOW))).toEqual({ asOfTime: "2026-11-27T20:46:00.000Z", syncedSecrets: [] });
});
