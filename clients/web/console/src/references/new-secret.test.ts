import { AlreadyExistsError, Code, Encoding, FailedPreconditionError, SecretData, SecretValue, UnavailableError } from "@iotoperations/secret-service-client";
import { expect, test } from "vitest";

import { checkedDates, instantOf, textOfInstant } from "./instants";
import { encodingsFor, newReferenceOf, tagsOf } from "./secret-draft";
import { LARGEST_VALUE, oddityOf, sizeOf } from "./size";
import { stateOfRefusal } from "./vault-secret-name";

test("a point in time is one in the zone that was chosen", () => {
  expect(instantOf("2026-11-27T20:46", "utc")?.toISOString()).toBe("2026-11-27T20:46:00.000Z");
  expect(instantOf("2026-11-27", "utc")).toBeUndefined();
  expect(instantOf("", "local")).toBeUndefined();
  for (const zone of ["utc", "local"] as const) {
    expect(textOfInstant(instantOf("2026-07-01T01:02", zone), zone)).toBe("2026-07-01T01:02");
  }
});

test("what expires does so after it is activated, and not already", () => {
  const now = new Date("2026-11-27T12:00Z");
  const [before, after] = [new Date("2026-11-26T12:00Z"), new Date("2026-11-28T12:00Z")];
  expect(checkedDates(after, before, now).error).toBeDefined();
  expect(checkedDates(before, before, now).error).toBeDefined();
  expect(checkedDates(undefined, before, now).warning).toContain("past");
  expect(checkedDates(after, undefined, now).warning).toContain("not valid yet");
  expect(checkedDates(before, after, now)).toEqual({});
});

test("tags are lines", () => {
  expect(tagsOf("line=3\n\n url = a=b ")).toEqual({ tags: { line: "3", url: "a=b" } });
  expect(tagsOf("line").problem).toContain("line");
  expect(tagsOf("=x").problem).toBeDefined();
  expect(tagsOf(Array.from({ length: 16 }, (_, index) => `t${index}=1`).join("\n")).problem).toContain("15");
});

test("bytes take more in the vault than they are", () => {
  const bytes = new SecretData(new Uint8Array(LARGEST_VALUE / 2));
  expect(sizeOf(bytes).stored).toBe(LARGEST_VALUE);
  expect(sizeOf(bytes, Encoding.BASE64).stored).toBe(17_068);
  expect(sizeOf(new SecretValue("ü"))).toEqual({ size: 2, stored: 2 });
});

test("a line break or a space that nobody sees is told, but not of PEM", () => {
  expect(oddityOf("hunter2\n")).toContain("line break");
  expect(oddityOf(" hunter2")).toContain("space");
  expect(oddityOf("hunter 2")).toBeUndefined();
  expect(oddityOf("-----BEGIN CERTIFICATE-----\n")).toBeUndefined();
});

test("a draft becomes a reference, and nothing shows its value", () => {
  const draft = { vaultSecret: "p", value: new SecretValue("hunter2"), kind: "text", size: 7, encoding: Encoding.BASE64, revision: "1" } as const;
  const reference = newReferenceOf("password", draft);
  expect(reference).toMatchObject({ key: "password", vaultSecret: "vaultSecrets/p", create: { encoding: Encoding.BASE64 } });
  expect(JSON.stringify([draft, reference])).not.toContain("hunter2");
  expect(encodingsFor(new SecretData(new Uint8Array(1))).map(([encoding]) => encoding)).not.toContain(Encoding.HEX);
});

test("a refusal says what is so with a name, or nothing of it", () => {
  const failure = { message: "…", code: Code.FailedPrecondition };
  expect(stateOfRefusal(new AlreadyExistsError(failure))?.state).toBe("taken");
  expect(stateOfRefusal(new FailedPreconditionError({ ...failure, reason: "VAULT_SECRET_SOFT_DELETED" }))?.state).toBe("deleted");
  expect(stateOfRefusal(new FailedPreconditionError({ ...failure, reason: "VAULT_SECRET_BEING_DELETED" }))?.state).toBe("invalid");
  expect(stateOfRefusal(new UnavailableError(failure))).toBeUndefined();
});
