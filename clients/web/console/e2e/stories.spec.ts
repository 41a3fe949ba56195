/** The three stories of secrets for an endpoint, word for word: "Create new", "Add from Azure Key Vault", "Manage secrets". */
import { createNew as newReference, NotFoundError } from "@iotoperations/secret-service-client";

import { endpointThatUses } from "./support/cluster";
import type { Dev } from "./support/dev";
import { expect, test } from "./support/fixtures";
import { addFromVault, choosePurpose, create, dialogOf, LOGIN, row, storyOfNewReferences } from "./support/story";
import { expectForgotten } from "./support/values";

const ENDPOINT = ["deviceregistry.microsoft.com/v1", "AssetEndpointProfile"] as const;

/** Makes a synced secret with a login, as somebody has before. */
async function withLogin(dev: Dev, synced: string): Promise<void> {
  const references = [
    newReference("username", `vaultSecrets/${synced}-username`, LOGIN.username),
    newReference("password", `vaultSecrets/${synced}-password`, LOGIN.password),
  ];
  await dev.client.createSyncedSecret(synced, references, { waitMs: 20_000 });
}

test("Create new: two references are saved as one synced secret, and no value is left in the page", async ({ page, dev, watched }) => {
  await storyOfNewReferences(page, "edp1secrets");
  await expectForgotten(page, watched, ...Object.values(LOGIN));
  expect(await dev.cluster.secret("edp1secrets")).toEqual(LOGIN);
  expect(await dev.vault.value("edp1secrets-username")).toBe(LOGIN.username);
  expect(await dev.vault.value("edp1secrets-password")).toBe(LOGIN.password);
});

test("Add from Azure Key Vault: two secrets of the vault are synced under one name", async ({ page, dev }) => {
  await dev.vault.set("press-9-username", "press-reader");
  await dev.vault.set("press-9-password", "press-pass-4e");
  await page.goto("/new");
  await choosePurpose(page, "Device: username password");
  await addFromVault(page, "Username reference", "press-9-username");
  await addFromVault(page, "Password reference", "press-9-password");
  await create(page, "press9secrets");
  expect(await dev.cluster.secret("press9secrets")).toEqual({ username: "press-reader", password: "press-pass-4e" });
});

test("Manage secrets: what an endpoint uses is not deleted; without it the synced secret goes, and the vault keeps everything", async ({
  page,
  dev,
}) => {
  await withLogin(dev, "edp2secrets");
  await dev.cluster.create(endpointThatUses("edp2secrets", "opc-plc-2"));
  await page.goto("/secrets");
  await expect(row(page, "edp2secrets")).toContainText("opc-plc-2");
  await page.getByRole("link", { name: "edp2secrets", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "edp2secrets" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Uses" }).getByText("AssetEndpointProfile opc-plc-2").first()).toBeVisible();

  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = dialogOf(page, "Delete edp2secrets?");
  await expect(dialog.getByRole("list", { name: "What uses it" })).toContainText("opc-plc-2");
  const refused = dialog.getByRole("button", { name: "Delete", exact: true });
  await expect(refused).toHaveAttribute("aria-disabled", "true");
  await refused.click({ force: true });
  expect(await dev.cluster.secret("edp2secrets")).toEqual(LOGIN);
  await dialog.getByRole("button", { name: "Cancel" }).click();

  await dev.cluster.remove(...ENDPOINT, "opc-plc-2");
  await expect(page.getByText("No resource names it.")).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(dialog.getByRole("button", { name: "Delete", exact: true })).not.toHaveAttribute("aria-disabled", "true");
  await dialog.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await expect(row(page, "edp2secrets")).toBeHidden();
  expect(await dev.cluster.secret("edp2secrets")).toBeUndefined();
  expect(await dev.vault.value("edp2secrets-username")).toBe(LOGIN.username);
  expect(await dev.vault.value("edp2secrets-password")).toBe(LOGIN.password);
});

test("Whoever types its name deletes a synced secret although an endpoint uses it", async ({ page, dev }) => {
  await withLogin(dev, "edp3secrets");
  await dev.cluster.create(endpointThatUses("edp3secrets", "opc-plc-3"));
  await page.goto("/secrets/edp3secrets");
  await expect(page.getByRole("region", { name: "Uses" }).getByText("AssetEndpointProfile opc-plc-3").first()).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = dialogOf(page, "Delete edp3secrets?");
  const typed = dialog.getByLabel(/type its name/);
  await typed.fill("edp3secret");
  await expect(dialog.getByRole("button", { name: "Delete", exact: true })).toHaveAttribute("aria-disabled", "true");
  await typed.fill("edp3secrets");
  await dialog.getByRole("button", { name: "Delete all the same" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await expect.poll(() => dev.cluster.secret("edp3secrets")).toBeUndefined();
  await expect(dev.client.getSyncedSecret("syncedSecrets/edp3secrets")).rejects.toThrow(NotFoundError);
  await dev.cluster.remove(...ENDPOINT, "opc-plc-3");
});

test("Two people at once: what one changes, the other sees before anything of it is lost", async ({ page, dev, another }) => {
  await withLogin(dev, "edp4secrets");
  const other = await another();
  for (const each of [page, other]) {
    await each.goto("/secrets/edp4secrets");
    await each.getByRole("button", { name: "Edit", exact: true }).click();
  }
  await page.getByLabel("Description").fill("mine");
  await other.getByLabel("Description").fill("theirs");
  await other.getByRole("button", { name: "Save" }).click();
  await expect(dialogOf(other, "Edit edp4secrets")).toBeHidden();

  await expect(page.getByText("Somebody changed it meanwhile.")).toBeVisible();
  await expect(page.getByRole("row", { name: /Description/ })).toContainText("theirs");
  await expect(page.getByLabel("Description")).toHaveValue("mine");
  await expect(page.getByRole("button", { name: "Save" })).toHaveAttribute("aria-disabled", "true");
  await page.getByRole("button", { name: "Put my edit on what is now" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(dialogOf(page, "Edit edp4secrets")).toBeHidden();
  expect((await dev.client.getSyncedSecret("syncedSecrets/edp4secrets")).description).toBe("mine");
  const changes = (await dev.client.listAuditEvents().all()).filter(({ action, resource }) => action === "UpdateSyncedSecret" && resource === "syncedSecrets/edp4secrets");
  expect(changes.length, "both were carried out, one after the other").toBeGreaterThanOrEqual(2);
});

test("A value that is rotated reaches the edge", async ({ page, dev, watched }) => {
  await withLogin(dev, "edp5secrets");
  await page.goto("/secrets/edp5secrets");
  await page.getByRole("button", { name: "Rotate value of password" }).click();
  const dialog = dialogOf(page, "New version of edp5secrets-password");
  await dialog.getByRole("textbox", { name: "Secret value" }).fill("rotated-9b2e");
  await dialog.getByRole("button", { name: /^Add a version/ }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await dev.cluster.secret("edp5secrets"))?.["password"]).toBe("rotated-9b2e");
  await expectForgotten(page, watched, "rotated-9b2e");
});

test("Two people tag one vault secret, and somebody adds a version: nobody's tags are lost, and only the version that was chosen changes", async ({
  page,
  dev,
}) => {
  const name = "vaultSecrets/edp6-tagged";
  await dev.client.createVaultSecret("edp6-tagged", "first-value-6a");
  await page.goto("/vault/edp6-tagged");
  await page.getByRole("button", { name: "Change attributes" }).click();
  const dialog = dialogOf(page, "Change the latest version of edp6-tagged");
  await dialog.getByLabel("Tags").fill("plant=Hamburg");
  const [first] = await dev.client.listVaultSecretVersions(name).all();
  const version = first?.name.split("/").at(-1) ?? "";
  await dev.client.updateVaultSecret(name, { tags: { owner: "anna" } }, { version });
  // The vault counts in seconds: two versions of one look the same.
  await page.waitForTimeout(1_100);
  await dev.client.addVaultSecretVersion(name, "second-value-6b");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  const versions = await dev.client.listVaultSecretVersions(name).all();
  const tagsOf = (isFirst: boolean) => versions.find((one) => one.name.endsWith(version) === isFirst)?.tags;
  expect(tagsOf(true)).toMatchObject({ owner: "anna", plant: "Hamburg" });
  expect(tagsOf(false)).not.toHaveProperty("plant");
});
