/** What the portal or `az iot ops` made, taken over in place. */
import { Origin } from "@iotoperations/secret-service-client";

import { expectAccessible } from "./support/axe";
import { Dev } from "./support/dev";
import { expect, test as base } from "./support/fixtures";
import { dialogOf, row } from "./support/story";

/** With the Secret Store extension, by which the portal syncs. */
const test = base.extend<object, { readonly dev: Dev }>({
  dev: [
    // Playwright reads from the pattern what a fixture needs.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const dev = await Dev.start("--engine=secret-store");
      await use(dev);
      await dev.remove();
    },
    { scope: "worker", timeout: 120_000 },
  ],
});

/** What the portal leaves in the cluster for one synced secret. */
async function madeByThePortal({ cluster }: Dev, name: string): Promise<void> {
  await cluster.create({
    apiVersion: "secrets-store.csi.x-k8s.io/v1",
    kind: "SecretProviderClass",
    metadata: { name: "spc-ops-1a2b3c4" },
    spec: {
      provider: "azure",
      parameters: {
        clientID: "c",
        tenantID: "t",
        keyvaultName: "contoso-aio",
        objects: "array:\n  - |\n    objectName: pump-7-password\n    objectType: secret\n",
      },
    },
  });
  await cluster.create({
    apiVersion: "secret-sync.x-k8s.io/v1alpha1",
    kind: "SecretSync",
    metadata: { name },
    spec: {
      secretProviderClassName: "spc-ops-1a2b3c4",
      serviceAccountName: "aio-ssc-sa",
      secretObject: { type: "Opaque", data: [{ sourcePath: "pump-7-password", targetKey: "password" }] },
    },
  });
}

test("what another tool made is listed as that, and is adopted in place with all that it holds", async ({ page, dev }) => {
  await madeByThePortal(dev, "portal-secrets");
  await expect.poll(() => dev.cluster.secret("portal-secrets")).toBeDefined();
  const before = await dev.cluster.secret("portal-secrets");
  await page.goto("/secrets?origin=unmanaged");
  await expect(row(page, "portal-secrets")).toBeVisible();
  await page.getByRole("link", { name: "portal-secrets", exact: true }).click();
  await expect(page.getByText("Another tool made it.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Edit", exact: true })).toHaveAttribute("aria-disabled", "true");

  await page.getByRole("button", { name: "Adopt", exact: true }).click();
  const dialog = dialogOf(page, "Adopt portal-secrets");
  await expect(dialog.getByText(/it can be adopted/)).toBeVisible();
  await expectAccessible(page, "the adoption");
  await dialog.getByRole("button", { name: "Adopt", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText("Another tool made it.")).toBeHidden();
  await expect(page.getByRole("button", { name: "Edit", exact: true })).not.toHaveAttribute("aria-disabled", "true");
  expect((await dev.client.getSyncedSecret("syncedSecrets/portal-secrets")).origin).toBe(Origin.MANAGED);
  expect(await dev.cluster.secret("portal-secrets")).toEqual(before);
});
