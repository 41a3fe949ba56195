import { create } from "@bufbuild/protobuf";
import { Code, ConditionStatus, InvalidRequestError } from "@iotoperations/secret-service-client";
import { ConditionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { keysAskedFor } from "./adoption";
import { inOrderOfNeed, standing } from "./conditions";
import { wordsOfEdge } from "./rules";

test("the keys of a Secret that another tool made are those that the service asks for", () => {
  const refused = (description: string) =>
    new InvalidRequestError({ message: description, code: Code.InvalidArgument, fieldViolations: [{ field: "references", description }] });
  expect(keysAskedFor(refused("Give one reference for each key of the Secret, and no other: password, tls.crt"))).toEqual(["password", "tls.crt"]);
  expect(keysAskedFor(refused('Key "ca.crt": the Kubernetes Secret has it, but its SecretSync does not.'))).toEqual(["ca.crt"]);
  expect(keysAskedFor(new Error("other"))).toEqual([]);
});

test("the condition that is worth a look comes first, and what is unknown is never well", () => {
  const condition = (type: string, status: ConditionStatus) => create(ConditionSchema, { type, status });
  const conditions = [
    condition("InUse", ConditionStatus.TRUE),
    condition("Synced", ConditionStatus.UNKNOWN),
    condition("Expiring", ConditionStatus.TRUE),
  ];
  expect(inOrderOfNeed(conditions).map(({ type }) => type)).toEqual(["Expiring", "Synced", "InUse"]);
  expect(standing(condition("Synced", ConditionStatus.UNKNOWN))).toEqual({ label: "Unknown", tone: "unknown" });
  expect(standing(condition("Expiring", ConditionStatus.FALSE)).tone).toBe("good");
});

test("which generation the edge has is said as it is", () => {
  expect(wordsOfEdge({ generation: 1n, syncedGeneration: 0n })).toBe("nothing yet; generation 1 is asked for");
  expect(wordsOfEdge({ generation: 2n, syncedGeneration: 1n })).toBe("generation 1; generation 2 is asked for");
  expect(wordsOfEdge({ generation: 2n, syncedGeneration: 2n })).toBe("generation 2, which is the latest");
});
