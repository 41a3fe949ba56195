import { create } from "@bufbuild/protobuf";
import { ConditionStatus, SyncEngine } from "@iotoperations/secret-service-client";
import { ConditionSchema } from "@iotoperations/secret-service-client/v1";
import { expect, test } from "vitest";

import { settingsOf } from "./settings";

const { TRUE, FALSE, UNKNOWN } = ConditionStatus;
const condition = (type: string, status: ConditionStatus, reason: string, message = "") => create(ConditionSchema, { type, status, reason, message });

test("problems come first, then what is not known; what holds comes last", () => {
  const conditions = [
    condition("Reachable", TRUE, "Reached"),
    condition("CanCreate", UNKNOWN, "NotChecked"),
    condition("CanList", UNKNOWN, "VaultThrottled"),
    condition("CanGet", FALSE, "VaultForbidden"),
  ];
  const settings = settingsOf({ conditions, engine: SyncEngine.DIRECT });
  expect(settings.map(({ type, weight, who }) => [type, weight, who])).toEqual([
    ["CanGet", "problem", "the service's identity in the vault"],
    ["CanList", "unknown", "the vault"],
    ["CanCreate", "unchecked", ""],
    ["Reachable", "holds", ""],
  ]);
});

test("an extension that isn't installed is missed only by the engine that needs it", () => {
  const weigh = (engine: SyncEngine, reason = "NotInstalled") =>
    settingsOf({ conditions: [condition("SecretStoreInstalled", FALSE, reason)], engine })[0]?.weight;
  expect(weigh(SyncEngine.DIRECT)).toBe("unneeded");
  expect(weigh(SyncEngine.SECRET_STORE)).toBe("problem");
  expect(weigh(SyncEngine.UNSPECIFIED)).toBe("problem");
  expect(weigh(SyncEngine.DIRECT, "EngineNotResponding")).toBe("problem");
});

test("the summary doesn't repeat what another setting says", () => {
  const message = "The vault refuses to read values. Assign the role Key Vault Secrets User.";
  const settings = (summary: string) =>
    settingsOf({
      conditions: [condition("CanGet", FALSE, "VaultForbidden", message), condition("SecureSettings", FALSE, "NotReady", summary)],
      engine: SyncEngine.DIRECT,
    }).find(({ type }) => type === "SecureSettings")?.message;
  expect(settings(message)).toBe("See the other settings here.");
  expect(settings(`${message} The cluster doesn't answer.`)).toBe("The cluster doesn't answer.");
});

test("a condition of a newer service stands as it is", () => {
  expect(settingsOf({ conditions: [condition("Backed", FALSE, "Odd", "Look.")], engine: SyncEngine.DIRECT })).toMatchObject([
    { title: "Backed", weight: "problem", who: "the service", message: "Look." },
  ]);
});
