/** The three stories of secrets for an endpoint, word for word: "Create new", "Add from Azure Key Vault", "Manage secrets". */
import { createNew as newReference, existing, idOf, NotFoundError } from "@iotoperations/secret-service-client";

import { endpointThatUses } from "./support/cluster";
import type { Dev } from "./support/dev";
import { expect, test } from "./support/fixtures";
import { addFromVault, choosePurpose, create, createNew, dialogOf, LOGIN, row, storyOfNewReferences } from "./support/story";
import { expectForgotten } from "./support/values";
import { UNREACHABLE } from "./support/watched";

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

test("Create new, changed: a value that the vault doesn't take is not swapped for the one before", async ({ page, watched }) => {
  await page.goto("/new");
  await choosePurpose(page, "Device: username password");
  await createNew(page, "Password reference", "press-8-password", LOGIN.password);
  await page.getByRole("button", { name: "Change Password reference" }).click();
  const dialog = dialogOf(page, "Create new: Password reference");
  await expect(dialog.getByText("The name is free.")).toBeVisible();
  await dialog.getByLabel("File for Secret value").setInputFiles({ name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(30_000, "x") });
  await expect(dialog.getByText("The vault takes at most 25,600 bytes; this has 30,000.")).toBeVisible();
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "Clear" }).click();
  await dialog.getByRole("textbox", { name: "Secret value" }).fill("another-3c");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText("10 bytes")).toBeVisible();
  await expectForgotten(page, watched, "another-3c");
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

test("Two people at once: who saves second is refused, even where the page has not heard of the first", async ({ page, dev }) => {
  await withLogin(dev, "edp6secrets");
  const name = "syncedSecrets/edp6secrets";
  await page.goto("/secrets/edp6secrets");
  await page.getByRole("button", { name: "More for password" }).click();
  await page.getByRole("menuitem", { name: "Pin to the version at the edge" }).click();
  const dialog = dialogOf(page, "Edit edp6secrets");
  let calls = 0;
  await page.route("**/UpdateSyncedSecret", async (route) => {
    // The first one is the check: somebody is faster than what follows it.
    if (++calls === 2) {
      await dev.client.updateSyncedSecret(name, { setReferences: [existing("password", "vaultSecrets/historian-token")] });
    }
    await route.continue();
  });
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("row", { name: /Reference password/ })).toContainText("historian-token");
  await expect(dialog.getByRole("button", { name: "Save" })).toHaveAttribute("aria-disabled", "true");
  expect((await dev.client.getSyncedSecret(name)).references.find(({ key }) => key === "password")?.vaultSecret).toBe("vaultSecrets/historian-token");
});

test("A rotation by somebody else is told as it is: the card looks at the vault again", async ({ page, dev }) => {
  await withLogin(dev, "edp7secrets");
  await page.goto("/secrets/edp7secrets");
  const card = page.getByRole("listitem").filter({ has: page.getByRole("heading", { level: 3, name: "password" }) });
  await expect(card).toContainText("It is the latest in the vault.");
  const { name } = await dev.client.addVaultSecretVersion("vaultSecrets/edp7secrets-password", "rotated-elsewhere-1c");
  await dev.client.syncSyncedSecret("syncedSecrets/edp7secrets", { waitMs: 20_000 });
  await expect(card).toContainText(idOf(name));
  await expect(card).toContainText("It is the latest in the vault.");
  await expect(card).not.toContainText("not at the edge yet");
});

test("A synced secret that may be watched and not read says so, and loads no longer", async ({ page, dev }) => {
  await withLogin(dev, "edp8secrets");
  // What whoever has no right to get it is answered.
  const denied = { "content-type": "application/grpc-web+proto", "grpc-status": "7" };
  await page.route("**/GetSyncedSecret", (route) => route.fulfill({ headers: denied }));
  await page.goto("/secrets/edp8secrets");
  await expect(page.getByRole("alert")).toContainText("You may not do this.");
  await expect(page.getByText("Loading edp8secrets")).toBeHidden();
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

test("What an address has that is no filter is left out: nothing breaks, and nothing is filtered in secret", async ({ page, dev }) => {
  await withLogin(dev, "edp11secrets");
  for (const garbage of ["state=bogus", "expiring=yes", "origin=bogus", "utm=1", "search=%7B%22a%22%3A1%7D"]) {
    await page.goto(`/secrets?${garbage}`);
    await expect(row(page, "edp11secrets")).toBeVisible();
    await expect(page).toHaveURL(/\/secrets$/);
  }
  for (const garbage of ["/activity?from=garbage", "/activity?hours=1e300", "/certificates?search=[1]", "/vault?search=%7B%7D", "/new?vaultSecret=%7B%7D"]) {
    await page.goto(garbage);
    await expect(page).toHaveURL(new RegExp(`${garbage.replace(/\?.*/, "")}$`));
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByText("Something broke")).toBeHidden();
  }
});

test("Whoever deletes several and stops learns of each what became of it, and nothing goes on in secret", async ({ page, dev }) => {
  const names = Array.from({ length: 8 }, (_, id) => `edp12-${id}`);
  await Promise.all(names.map((name) => withLogin(dev, name)));
  // The first four calls wait until they are let through.
  const held: (() => void)[] = [];
  await page.route("**/DeleteSyncedSecret", (route) => held.push(() => void route.continue()));
  await page.goto("/secrets?search=edp12-");
  await expect(row(page, "edp12-7")).toBeVisible();
  for (const name of names) {
    await row(page, name).getByRole("checkbox").check();
  }
  await page.getByRole("group", { name: "What is selected" }).getByRole("button", { name: "Delete" }).click();
  const dialog = dialogOf(page, "Delete 8 synced secrets?");
  await dialog.getByRole("button", { name: "Delete 8" }).click();
  await expect(dialog.getByRole("status")).toHaveText("4 asked for, 4 waiting.");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "Stop" }).click();
  await expect(dialog.getByRole("status")).toHaveText("4 asked for, 4 not asked for.");
  held.forEach((go) => go());
  await expect(dialog.getByRole("status")).toHaveText("4 deleted, 4 not asked for.", { timeout: 20_000 });
  expect(held).toHaveLength(4);
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(page.getByText("Of 8 synced secrets: 4 deleted, 4 not asked for", { exact: true })).toBeVisible();
  await expect(page.getByText("4 selected")).toBeVisible();
});

test("An accepted deletion is not told as one that stays, though nobody can look at it any more", async ({ page, dev, watched }) => {
  watched.allow(UNREACHABLE);
  await withLogin(dev, "edp13secrets");
  await page.goto("/secrets/edp13secrets");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = dialogOf(page, "Delete edp13secrets?");
  await expect(dialog.getByText("Nothing uses it.")).toBeVisible();
  await page.route("**/GetSyncedSecret", (route) => route.abort("connectionrefused"));
  await dialog.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(dialog.getByText(/the service has accepted it/)).toBeVisible({ timeout: 20_000 });
  await expect(dialog.getByText(/It stays/)).toBeHidden();
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(page.getByText("edp13secrets is being deleted", { exact: true })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await expect.poll(() => dev.cluster.secret("edp13secrets")).toBeUndefined();
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
