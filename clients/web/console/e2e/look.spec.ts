/** Every screen and every dialog: in light and dark, on a phone and on a wall, by whoever uses a reader of screens. */
import { existing } from "@iotoperations/secret-service-client";
import type { Page } from "@playwright/test";

import { expectAccessible } from "./support/axe";
import { endpointThatUses } from "./support/cluster";
import { expect, test } from "./support/fixtures";
import { choosePurpose, dialogOf } from "./support/story";

/** All screens, by what their headings say. */
const SCREENS = [
  ["/", "Overview"],
  ["/secrets", "Secrets"],
  ["/secrets/look-secrets", "look-secrets"],
  ["/secrets/nowhere", "nowhere"],
  ["/new", "New synced secret"],
  ["/vault", "Key Vault"],
  ["/vault/opc-certificate", "opc-certificate"],
  ["/uses", "Uses"],
  ["/certificates", "Certificates"],
  ["/activity", "Activity"],
  ["/no/such/page", "Not found"],
] as const;

test.beforeAll("a synced secret, and what uses it", async ({ dev }) => {
  const keys = [existing("username", "vaultSecrets/pump-7-username"), existing("password", "vaultSecrets/pump-7-password")];
  await dev.client.createSyncedSecret("look-secrets", keys, { waitMs: 20_000 });
  await dev.cluster.create(endpointThatUses("look-secrets", "look-plc"));
});

/** Opens a screen, and waits until nothing loads any more. */
async function open(page: Page, path: string, title: string): Promise<void> {
  await page.goto(path);
  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible();
  await expect(page.getByRole("progressbar")).toHaveCount(0);
}

/** Runs in the page: whatever makes the page or its main part scroll sideways. */
function tooWide(): string[] {
  const roots = [document.documentElement, document.body, document.querySelector("main") ?? document.body];
  return roots
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
    .flatMap((root) => {
      const { right } = root.getBoundingClientRect();
      const beyond = [...root.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > right + 0.5);
      return beyond.slice(0, 5).map((element) => `${root.tagName}: ${element.outerHTML.slice(0, 160)}`);
    });
}

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    for (const [path, title] of SCREENS) {
      test(`axe finds nothing on ${path} in ${colorScheme}`, async ({ page }) => {
        await open(page, path, title);
        await expectAccessible(page, path);
      });
    }

    test(`axe finds nothing on the dialogs in ${colorScheme}`, async ({ page }) => {
      await open(page, "/new", "New synced secret");
      await choosePurpose(page, "Device: username password");
      for (const [item, dialog] of [
        ["Create new", "Create new: Username reference"],
        ["Add from Azure Key Vault", "Add from Azure Key Vault: Username reference"],
      ] as const) {
        await page.getByRole("button", { name: "Add reference: Username reference" }).click();
        await expectAccessible(page, "the menu of references");
        await page.getByRole("menuitem", { name: item }).click();
        await expect(dialogOf(page, dialog)).toBeVisible();
        await expectAccessible(page, dialog);
        await page.keyboard.press("Escape");
        await expect(dialogOf(page, dialog)).toBeHidden();
      }
      await open(page, "/secrets/look-secrets", "look-secrets");
      for (const [button, dialog] of [
        ["Edit", "Edit look-secrets"],
        ["Delete", "Delete look-secrets?"],
        ["Rotate value of password", "New version of pump-7-password"],
      ] as const) {
        await page.getByRole("button", { name: button, exact: true }).click();
        await expect(dialogOf(page, dialog)).toBeVisible();
        await expectAccessible(page, dialog);
        await page.keyboard.press("Escape");
        await expect(dialogOf(page, dialog)).toBeHidden();
      }
      await page.getByRole("button", { name: "Preferences" }).click();
      await expectAccessible(page, "the preferences");
      await page.keyboard.press("Escape");
    });
  });
}

for (const [width, height] of [
  [360, 740],
  [3_840, 2_160],
] as const) {
  test(`no screen scrolls sideways at ${width} pixels`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    for (const [path, title] of SCREENS) {
      await open(page, path, title);
      expect(await page.evaluate(tooWide), `${path} at ${width}`).toEqual([]);
    }
  });
}

test("high contrast, and the choice of a theme, outlive a reload", async ({ page }) => {
  await open(page, "/", "Overview");
  await page.getByRole("button", { name: "Preferences" }).click();
  await page.getByRole("menuitemradio", { name: "High contrast" }).click();
  await page.keyboard.press("Escape");
  await expectAccessible(page, "high contrast");
  await page.reload();
  await page.getByRole("button", { name: "Preferences" }).click();
  await expect(page.getByRole("menuitemradio", { name: "High contrast" })).toHaveAttribute("aria-checked", "true");
});
