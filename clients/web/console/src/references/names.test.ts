import { expect, test } from "vitest";

import {
  problemOfKey,
  problemOfSyncedSecretName,
  problemOfVaultSecretName,
  proposedKey,
  proposedSyncedSecretName,
  proposedVaultSecretName,
} from "./names";

test("names in the vault have letters, digits and hyphens", () => {
  expect(problemOfVaultSecretName("Pump-7")).toBeUndefined();
  expect(problemOfVaultSecretName("a".repeat(127))).toBeUndefined();
  for (const name of ["", "pump_7", "pump 7", "pump.7", "a".repeat(128), "pümp"]) {
    expect(problemOfVaultSecretName(name)).toBeDefined();
  }
});

test("the name of a synced secret is that of a Kubernetes Secret", () => {
  for (const name of ["edp1secrets", "a.b-c", "0", "a".repeat(253)]) {
    expect(problemOfSyncedSecretName(name)).toBeUndefined();
  }
  for (const name of ["", "Edp1", "-a", "a-", "a..b", "a.-b", "a_b", "a".repeat(254)]) {
    expect(problemOfSyncedSecretName(name)).toBeDefined();
  }
});

test("a key is one of a Kubernetes Secret, and no other reference has it", () => {
  for (const key of ["username", ".dockerconfigjson", "tls.crt", "a_b"]) {
    expect(problemOfKey(key)).toBeUndefined();
  }
  for (const key of ["", ".", "..a", "a b", "a/b", "a".repeat(254)]) {
    expect(problemOfKey(key)).toBeDefined();
  }
  expect(problemOfKey("username", ["username"])).toBe("Another reference has this key.");
});

test("a synced secret is called as what its vault secrets have in common", () => {
  expect(proposedSyncedSecretName(["vaultSecrets/edp1-username", "vaultSecrets/edp1-password"])).toBe("edp1");
  expect(proposedSyncedSecretName(["line-3-camera-username", "line-3-camera-password"])).toBe("line-3-camera");
  expect(proposedSyncedSecretName(["Historian-Token"])).toBe("historian-token");
  expect(proposedSyncedSecretName(["pump", "oven"])).toBe("pump");
  expect(proposedSyncedSecretName([])).toBe("");
  expect(proposedSyncedSecretName(["a-b"], (name) => name === "a-b" || name === "a-b-2")).toBe("a-b-3");
});

test("a vault secret is called after the synced secret and the key", () => {
  expect(proposedVaultSecretName("edp1secrets", "username")).toBe("edp1secrets-username");
  expect(proposedVaultSecretName("", "tls.crt")).toBe("tls-crt");
  expect(proposedVaultSecretName("a.b", "client_cert.pem")).toBe("a-b-client-cert-pem");
});

test("a key of a file is its name", () => {
  expect(proposedKey("Root CA (2026).der")).toBe("Root-CA-2026-.der");
  expect(proposedKey("../x.crl")).toBe("x.crl");
  expect(problemOfKey(proposedKey(".. ..ca.pem"))).toBeUndefined();
});
