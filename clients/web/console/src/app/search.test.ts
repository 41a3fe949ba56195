import { expect, test } from "vitest";

import { certificatesSearch, createSearch } from "./search";

test("a new synced secret begins with one vault secret or with several, each once", () => {
  expect(createSearch({ vaultSecret: "pump-7" })).toEqual({ vaultSecret: ["pump-7"] });
  expect(createSearch({ vaultSecret: ["pump-7", "pump-8", "pump-7", ""] })).toEqual({ vaultSecret: ["pump-7", "pump-8"] });
  expect(createSearch({ vaultSecret: 7 })).toEqual({ vaultSecret: ["7"] });
  expect(createSearch({ vaultSecret: [] })).toEqual({});
});

test("a kind of list that there is not counts as left out", () => {
  expect(certificatesSearch({ kind: "issuer", list: "plant-list" })).toEqual({ kind: "issuer", list: "plant-list" });
  expect(certificatesSearch({ kind: "none", expiring: "yes" })).toEqual({});
});
