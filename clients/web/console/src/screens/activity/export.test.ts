import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AuditEventSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import type { AuditPage } from "../../api/audit";
import { cellOf, collect, csvOf, fileNameOf, jsonOf, type Collected } from "./export";

const NOW = new Date("2026-11-27T21:05:00Z");
const event = (number: number, detail = "") =>
  create(AuditEventSchema, { name: `auditEvents/${number}`, eventTime: timestampFromDate(NOW), actor: "sync", outcome: "OK", detail });

/** Pages of two events each. */
function pages(number: number): (token: string) => Promise<AuditPage> {
  return (token) => {
    const page = Number(token);
    const nextPageToken = page + 1 < number ? String(page + 1) : "";
    return Promise.resolve({ events: [event(page * 2), event(page * 2 + 1)], nextPageToken, sent: 2 });
  };
}

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", " =1", "\uFF1D1", "|calc", "%x"])("%j is no formula", (text) => {
  expect(cellOf(text)).toBe(`"'${text}"`);
});

test("a cell keeps quotes, commas and lines", () => {
  expect(cellOf('say "a,\nb"')).toBe('"say ""a,\nb"""');
  expect(cellOf("syncedSecrets/a-b=c")).toBe('"syncedSecrets/a-b=c"');
});

test("a table has a head and a line for each event", () => {
  const [head, line, rest] = csvOf([event(7, "=cmd()")]).split("\r\n");
  expect(head).toBe('\uFEFF"name","time","actor","action","resource","outcome","detail","request_id"');
  expect(line).toBe(`"auditEvents/7","2026-11-27T21:05:00.000Z","sync","","","OK","'=cmd()",""`);
  expect(rest).toBe("");
});

test("all pages are collected, and each is told", async () => {
  const told: number[] = [];
  const { events, next } = await collect(pages(3), undefined, (collected) => told.push(collected.events.length));
  expect([events.length, next, told]).toEqual([6, "", [2, 4, 6]]);
});

test("too many are cut, and the file doesn't say that it is complete", async () => {
  const collected = await collect(pages(9), undefined, () => undefined, 3);
  expect(collected.events.length).toBe(3);
  expect(collected.next).not.toBe("");
  expect(JSON.parse(jsonOf(collected, { actor: "sync", since: NOW }))).toMatchObject({
    asOfTime: collected.asOf.toISOString(),
    complete: false,
    filter: { actor: "sync", since: "2026-11-27T21:05:00.000Z" },
    auditEvents: [{ name: "auditEvents/0" }, {}, {}],
  });
});

test("what broke goes on where it was, and has nothing twice", async () => {
  let partial: Collected | undefined;
  let fails = true;
  const breaking = async (token: string): Promise<AuditPage> => {
    if (token === "1" && fails) {
      fails = false;
      throw new Error("away");
    }
    return pages(3)(token);
  };
  const keep = (collected: Collected): void => {
    partial = collected;
  };
  await expect(collect(breaking, undefined, keep)).rejects.toThrow("away");
  const begun = partial?.asOf;
  const { events, asOf } = await collect(breaking, partial, keep);
  expect(events.map(({ name }) => name)).toEqual([0, 1, 2, 3, 4, 5].map((number) => `auditEvents/${number}`));
  // What came after it was begun is not in it, however long it took.
  expect(asOf).toBe(begun);
});

test("the name of the file has the time span", () => {
  expect(fileNameOf({ since: new Date("2026-11-20T21:00:00Z") }, "csv", NOW)).toBe("activity-2026-11-20T2100Z--2026-11-27T2105Z.csv");
  expect(fileNameOf({ until: new Date("2026-11-20T21:00:00Z") }, "json", NOW)).toBe("activity-begin--2026-11-20T2100Z.json");
});
