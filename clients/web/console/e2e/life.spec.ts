/** The page and the service that it belongs to: up, killed, up again, and away. */
import { existing } from "@iotoperations/secret-service-client";

import { expectAccessible } from "./support/axe";
import { expect, test } from "./support/fixtures";
import { choosePurpose, create, createNew, LOGIN } from "./support/story";
import { expectForgotten } from "./support/values";
import { UNREACHABLE } from "./support/watched";

test("every screen opens from the menu, and the browser's own back button leads back", async ({ page }) => {
  await page.goto("/");
  const menu = page.getByRole("navigation", { name: "Screens" });
  for (const name of ["Secrets", "Key Vault", "Uses", "Certificates", "Activity", "Overview"]) {
    await menu.getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
    await expect(page).toHaveTitle(new RegExp(name));
  }
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1, name: "Activity" })).toBeVisible();
});

test("a killed service comes back: the page goes on without a reload, what was typed stays, and the live view resumes", async ({
  page,
  dev,
  watched,
}) => {
  watched.allow(UNREACHABLE);
  await dev.client.createSyncedSecret("before-the-kill", [existing("token", "vaultSecrets/historian-token")], { waitMs: 20_000 });
  await page.goto("/secrets");
  await expect(page.getByRole("link", { name: "before-the-kill" })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { isTheSame: true }));
  const search = page.getByRole("searchbox", { name: /^Search by name/ });
  await search.fill("the-kill");

  await dev.kill();
  const notice = page.getByText("The service can't be reached.");
  await expect(notice).toBeVisible();
  await expect(page.getByText(/What is shown is as of/)).toBeVisible();
  await expectAccessible(page, "a page whose service is away");
  await expect(page.getByRole("link", { name: "before-the-kill" })).toBeVisible();

  await dev.start();
  await expect(notice).toBeHidden();
  await expect(search).toHaveValue("the-kill");
  await dev.client.createSyncedSecret("after-the-kill", [existing("token", "vaultSecrets/historian-token")], { waitMs: 20_000 });
  await expect(page.getByRole("link", { name: "after-the-kill" })).toBeVisible();
  expect(await page.evaluate(() => "isTheSame" in window)).toBe(true);
});

test("a lost answer while nobody can look: what is there is unknown, not absent, and the same request is gone on with", async ({ page, dev, watched }) => {
  watched.allow(UNREACHABLE);
  await dev.vault.set("lost-9-token", "x");
  await page.goto("/new?purpose=-&vaultSecret=%5B%22lost-9-token%22%5D");
  await page.getByLabel("Synced secret name").fill("lost9");
  let calls = 0;
  await page.route("**/CreateSyncedSecret", async (route) => {
    calls++;
    if (calls === 1) {
      // The check.
      await route.continue();
      return;
    }
    await route.fetch();
    await route.abort("connectionreset");
  });
  await page.route("**/GetSyncedSecret", (route) => route.abort("connectionreset"));
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByText("It is not known how it ended.")).toBeVisible();
  await expect(page.getByText(/Whether the synced secret lost9 is recorded is unknown\./)).toBeVisible();
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Created: lost9" })).toBeVisible();
  await expect(page.getByText("At the edge: the Kubernetes Secret has the values.")).toBeVisible();
  expect((await dev.client.getSyncedSecret("syncedSecrets/lost9")).generation).toBe(1n);
});

test("what is entered for a new secret outlives a killed service, and is created once it is back", async ({ page, dev, watched }) => {
  watched.allow(UNREACHABLE);
  await page.goto("/new");
  await choosePurpose(page, "Device: username password");
  await createNew(page, "Username reference", "patient-username", LOGIN.username);
  await createNew(page, "Password reference", "patient-password", LOGIN.password);
  await page.getByLabel("Synced secret name").fill("patient");
  await dev.kill();
  await expect(page.getByText("The service can't be reached.").first()).toBeVisible();
  await dev.start();
  await create(page, "patient");
  expect(await dev.cluster.secret("patient")).toEqual(LOGIN);
  await expectForgotten(page, watched, ...Object.values(LOGIN));
});

test("without a network the page says since when what it shows is old, and goes on when there is one", async ({ page, context, watched }) => {
  watched.allow(UNREACHABLE);
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  const menu = page.getByRole("navigation", { name: "Screens" });
  await menu.getByRole("link", { name: "Secrets" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await context.setOffline(true);
  await menu.getByRole("link", { name: "Overview" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await context.setOffline(false);
  await menu.getByRole("link", { name: "Activity" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Activity" })).toBeVisible();
});

test("where a proxy holds back the watch, the overview shows what else there is, and says what is missing", async ({ page }) => {
  await page.route("**/iotoperations.secrets.v1.SecretService/WatchSyncedSecrets", () => new Promise(() => undefined));
  await page.goto("/");
  await expect(page.getByText("The synced secrets have not come yet.").first()).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole("region", { name: "Last changes" }).getByText(/Looked at/)).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
