import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createRouterTransport } from "@connectrpc/connect";
import { AuditEventSchema, SecretService, type AuditEvent } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { auditPage, auditRequest, isAskedFor, type AuditFilter } from "./audit";

const at = (time: string) => new Date(`2026-11-27T${time}Z`);

function event(parts: { outcome?: string; actor?: string; action?: string; time?: Date }): AuditEvent {
  const { outcome = "OK", actor = "sync", action = "Synced", time = at("20:00:00") } = parts;
  return create(AuditEventSchema, { resource: "syncedSecrets/a", actor, action, outcome, eventTime: timestampFromDate(time) });
}

test("a time span has its begin, and not its end", () => {
  const filter: AuditFilter = { since: at("20:00:00"), until: at("21:00:00") };
  expect(isAskedFor(event({ time: at("20:00:00") }), filter)).toBe(true);
  expect(isAskedFor(event({ time: at("19:59:59.999") }), filter)).toBe(false);
  expect(isAskedFor(event({ time: at("21:00:00") }), filter)).toBe(false);
  expect(isAskedFor(create(AuditEventSchema, {}), filter)).toBe(false);
});

test("what was only begun has not failed", () => {
  const failed = (outcome: string) => isAskedFor(event({ outcome }), { failedOnly: true });
  expect([failed("OK"), failed("ACCEPTED"), failed("PERMISSION_DENIED")]).toEqual([false, false, true]);
});

test("the request says all that is asked for", () => {
  const filter = { resource: "vault", actor: "sync", action: "Rotated", outcome: "OK", failedOnly: true, until: at("21:00:00") };
  expect(auditRequest(filter, { pageSize: 5, pageToken: "next" })).toEqual({
    ...{ resource: "vault", actor: "sync", action: "Rotated", outcome: "OK", failedOnly: true, pageSize: 5, pageToken: "next" },
    untilTime: timestampFromDate(at("21:00:00")),
  });
});

test("events that a service without the filter sends are left out, and counted", async () => {
  const transport = createRouterTransport(({ service }) =>
    service(SecretService, {
      listAuditEvents: () => ({ auditEvents: [event({ actor: "a" }), event({ actor: "b" })], nextPageToken: "more" }),
    }),
  );
  const page = await auditPage(transport, { actor: "b" }, {});
  expect(page.events.map(({ actor }) => actor)).toEqual(["b"]);
  expect([page.sent, page.nextPageToken]).toEqual([2, "more"]);
});
