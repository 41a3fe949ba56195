import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { SecretService, VaultSecretVersionSchema } from "@iotoperations/secret-service-client/v1";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { newQueryClient } from "../../api/connection";
import { useVersionsLook } from "./use-versions-look";
import { standToVault } from "./versions";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** A look at a vault that has these versions, the oldest first. */
function looking(versions: string[]) {
  const listVaultSecretVersions = vi.fn(() => ({
    versions: versions.map((id, index) =>
      create(VaultSecretVersionSchema, { name: `vaultSecrets/p/versions/${id}`, enabled: true, createTime: { seconds: BigInt(index) } }),
    ),
  }));
  const transport = createRouterTransport(({ service }) => service(SecretService, { listVaultSecretVersions }));
  const queries = newQueryClient();
  const around = ({ children }: { children: ReactNode }): ReactNode => (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </TransportProvider>
  );
  const said: string[] = [];
  const shown = { vaultSecret: "vaultSecrets/p", version: "", syncedVersion: "a" };
  const { result, rerender } = renderHook(
    (syncedVersion: string) => {
      const reference = { ...shown, syncedVersion };
      const { words } = standToVault(reference, useVersionsLook(reference, true).look);
      said.push(words);
      return words;
    },
    { wrapper: around, initialProps: "a" },
  );
  return { listVaultSecretVersions, result, rerender, said };
}

test("a version that somebody else stored and the edge has is looked for, and never told as missing at the edge", async () => {
  const versions = ["a"];
  const { result, rerender, listVaultSecretVersions, said } = looking(versions);
  await waitFor(() => expect(result.current).toBe("It is the latest in the vault."));
  versions.push("b");
  rerender("b");
  expect(result.current).toMatch(/^(looking|unknown)/);
  await waitFor(() => expect(result.current).toBe("It is the latest in the vault."));
  expect(listVaultSecretVersions).toHaveBeenCalledTimes(2);
  expect(said.filter((words) => words.includes("not at the edge"))).toEqual([]);
});

test("what the vault doesn't list is asked for once more, not for ever", async () => {
  const { result, rerender, listVaultSecretVersions } = looking(["a"]);
  await waitFor(() => expect(result.current).toBe("It is the latest in the vault."));
  rerender("b");
  await waitFor(() => expect(result.current).toBe("unknown: the vault doesn't list the version b"));
  expect(listVaultSecretVersions).toHaveBeenCalledTimes(2);
});

test("the vault is looked at again by itself, because nothing watches it", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const versions = ["a"];
  const { result } = looking(versions);
  await waitFor(() => expect(result.current).toBe("It is the latest in the vault."));
  versions.push("b");
  await vi.advanceTimersByTimeAsync(31_000);
  await waitFor(() => expect(result.current).toBe("The vault has b, which is not at the edge yet."));
});
