/** The scenario that every client is held to: `clients/scenario.json`, read, filled in and compared. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

export interface Refused {
  code: string;
  reason: string;
  fields: string[];
}
/** An answer in proto3 JSON, or an error. */
export type Outcome = { response: JsonValue } | { error: Refused };
export type Call = (method: string, request: JsonObject) => Promise<Outcome>;

interface Step {
  name: string;
  call: string;
  request?: JsonObject;
  response?: JsonObject;
  error?: Partial<Refused>;
  save?: Record<string, string>;
}

/** Takes every step; says how many there were. */
export async function play(run: string, call: Call): Promise<number> {
  const file = new URL("../../../scenario.json", import.meta.url);
  const { steps } = JSON.parse(readFileSync(file, "utf8")) as { steps: Step[] };
  const saved: Record<string, string> = { run };
  for (const step of steps) {
    const outcome = await call(step.call, fill(step.request ?? {}, saved) as JsonObject);
    const problem = step.error
      ? refused(step.error, outcome)
      : differs(fill(step.response ?? {}, saved), "response" in outcome ? outcome.response : undefined, "response");
    assert.equal(problem, undefined, `${step.name}: ${String(problem)}, in ${JSON.stringify(outcome)}`);
    for (const [name, path] of Object.entries(step.save ?? {})) {
      assert("response" in outcome);
      const part = at(outcome.response, path);
      assert(typeof part === "string");
      saved[name] = part;
    }
  }
  return steps.length;
}

/** Puts what was saved in the place of `${name}`, in every string. */
function fill(value: JsonValue, saved: Record<string, string>): JsonValue {
  if (typeof value === "string") {
    return value.replace(/\$\{([\w-]+)\}/g, (_, name: string) => {
      const found = saved[name];
      assert(found !== undefined, `nothing was saved as ${name}`);
      return found;
    });
  }
  if (Array.isArray(value)) {
    return value.map((item) => fill(item, saved));
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, saved)]));
  }
  return value;
}

/** The part of an answer that a path such as `references.0.key` names. */
function at(value: JsonValue, path: string): JsonValue | undefined {
  return path
    .split(".")
    .reduce<JsonValue | undefined>((found, part) => (found as Record<string, JsonValue> | undefined)?.[part], value);
}

/** Where what is wanted is no part of what is found. */
function differs(wanted: JsonValue, found: JsonValue | undefined, path: string): string | undefined {
  if (wanted === "*") {
    const empty = found === undefined || found === null || found === "";
    return empty || (typeof found === "object" && Object.keys(found).length === 0) ? `${path} is empty` : undefined;
  }
  if (Array.isArray(wanted) && Array.isArray(found) && wanted.length === found.length) {
    return first(wanted.map((item, place) => differs(item, found[place], `${path}[${String(place)}]`)));
  }
  if (isObject(wanted) && isObject(found)) {
    return first(Object.entries(wanted).map(([key, item]) => differs(item, found[key], `${path}.${key}`)));
  }
  return wanted === found ? undefined : `${path} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`;
}

/** Where an error isn't what is wanted. */
function refused(wanted: Partial<Refused>, outcome: Outcome): string | undefined {
  if (!("error" in outcome)) {
    return "it was not refused";
  }
  const { code, reason, fields } = outcome.error;
  const missing = (wanted.fields ?? []).filter((field) => !fields.includes(field));
  if (wanted.code !== code || wanted.reason !== reason) {
    return `refused with ${code} ${reason}`;
  }
  return missing.length > 0 ? `it does not name ${missing.join(", ")}` : undefined;
}

function first(problems: (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
