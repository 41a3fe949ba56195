import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { ASKED_ACTIONS, OWN_ACTIONS, wordsOfAction, wordsOfEvent, wordsOfOutcome } from "./events";

test("an event says what happened, what was only begun and what was refused", () => {
  const event = (outcome: string, action = "CreateVaultSecret") => wordsOfEvent({ action, outcome });
  expect(event("OK")).toBe("Created the vault secret");
  expect(event("ACCEPTED")).toBe("Began to create the vault secret");
  expect(event("PERMISSION_DENIED")).toBe("Was not allowed to create the vault secret");
  expect(event("ALREADY_EXISTS")).toBe("Could not create the vault secret");
  expect(event("UNAVAILABLE", "SyncFailed")).toBe("Can't sync it");
});

test("what another release recorded stands as it is", () => {
  expect(wordsOfEvent({ action: "Moved", outcome: "OK" })).toBe("Moved");
  expect(wordsOfAction("Moved")).toBe("Moved");
  expect(wordsOfOutcome("DATA_LOSS")).toBe("DATA_LOSS");
  expect(wordsOfOutcome("VaultSecretDisabled")).toBe("Vault secret disabled");
});

test("every action that the audit documents has words", () => {
  const documented = [...readFileSync("../../../docs/audit.md", "utf8").matchAll(/^\| `(\w+)` \|/gm)].map(([, action]) => action);
  expect(documented.length).toBeGreaterThan(30);
  expect([...ASKED_ACTIONS, ...OWN_ACTIONS].sort()).toEqual(documented.sort());
});
