/** The first story by somebody who has no mouse. */
import type { Page } from "@playwright/test";

import { expect, test } from "./support/fixtures";
import { LOGIN } from "./support/story";

const FAR = 60;

/** Goes on by Tab until what has the focus has this role and name; fails where it never does. */
async function tabTo(page: Page, role: "button" | "link" | "combobox" | "textbox" | "menuitem", name: string | RegExp): Promise<void> {
  const wanted = page.getByRole(role, { name, ...(typeof name === "string" && { exact: true }) });
  await expect(wanted.first()).toBeVisible();
  for (let step = 0; step < FAR; step++) {
    if (await wanted.evaluateAll((found) => found.includes(document.activeElement as HTMLElement))) {
      await expectVisibleFocus(page);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab never comes to the ${role} ${String(name)}`);
}

/** Goes down the list of what has the focus until an option begins so. */
async function arrowTo(page: Page, begin: string): Promise<void> {
  for (let step = 0; step < FAR; step++) {
    const active = await page.evaluate(() => {
      const id = document.activeElement?.getAttribute("aria-activedescendant");
      return id === null || id === undefined ? "" : (document.getElementById(id)?.textContent ?? "");
    });
    if (active.startsWith(begin)) {
      return;
    }
    await page.keyboard.press("ArrowDown");
  }
  throw new Error(`arrows never come to the option ${begin}`);
}

/** Who looks for the focus finds it: it is in the window. */
async function expectVisibleFocus(page: Page): Promise<void> {
  const isInView = await page.evaluate(() => {
    const box = document.activeElement?.getBoundingClientRect();
    return box !== undefined && box.width > 0 && box.bottom > 0 && box.top < window.innerHeight;
  });
  expect(isInView, "what has the focus can be seen").toBe(true);
}

test("the keyboard alone leads from the first page to a synced secret at the edge", async ({ page, dev }) => {
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeFocused();
  await page.reload();
  await tabTo(page, "link", "Skip to the content");
  await tabTo(page, "link", "Secrets");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeFocused();
  await tabTo(page, "button", "New");
  await page.keyboard.press("Enter");

  await expect(page.getByRole("heading", { level: 1, name: "New synced secret" })).toBeFocused();
  await tabTo(page, "combobox", "What is it for?");
  await page.keyboard.type("Device: username");
  await expect(page.getByRole("option", { name: /^Device: username password/ })).toBeVisible();
  await arrowTo(page, "Device: username password");
  await page.keyboard.press("Enter");
  for (const [slot, value] of [
    ["Username reference", LOGIN.username],
    ["Password reference", LOGIN.password],
  ] as const) {
    await tabTo(page, "button", `Add reference: ${slot}`);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("menuitem", { name: "Create new" })).toBeFocused();
    await page.keyboard.press("Enter");
    await tabTo(page, "textbox", /^Secret name/);
    await page.keyboard.type(`by-keys-${slot.slice(0, 8).toLowerCase()}`);
    await tabTo(page, "textbox", /^Secret value/);
    await page.keyboard.type(value);
    await tabTo(page, "button", "Add");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("alertdialog")).toBeHidden();
  }
  await tabTo(page, "textbox", /^Synced secret name/);
  await page.keyboard.press("Control+A");
  await page.keyboard.type("by-keys");
  await tabTo(page, "button", "Create");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Created: by-keys" })).toBeVisible();
  await expect(page.getByText("At the edge: the Kubernetes Secret has the values.")).toBeVisible();
  expect(await dev.cluster.secret("by-keys")).toEqual(LOGIN);
});
