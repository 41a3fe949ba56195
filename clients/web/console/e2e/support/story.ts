/** What people do on the page, step by step, as the seed tells it; found as they find it, by names and roles. */
import { expect, type Locator, type Page } from "@playwright/test";

/** Both credentials of an OPC UA server, as somebody types them. */
export const LOGIN = { username: "opc-reader-5d1c", password: "correct horse 77f0" } as const;

/** A dialog, whether or not a click beside it closes it. */
export function dialogOf(page: Page, name: string): Locator {
  return page.getByRole("dialog", { name }).or(page.getByRole("alertdialog", { name }));
}

/** "Create new" for one credential of an endpoint. */
export async function createNew(page: Page, slot: string, vaultSecret: string, value: string): Promise<void> {
  await page.getByRole("button", { name: `Add reference: ${slot}` }).click();
  await page.getByRole("menuitem", { name: "Create new" }).click();
  const dialog = dialogOf(page, `Create new: ${slot}`);
  await dialog.getByRole("textbox", { name: "Secret name" }).fill(vaultSecret);
  await dialog.getByRole("textbox", { name: "Secret value" }).fill(value);
  // What is said of the name takes a line, and moves the buttons: whoever has a mouse waits for it.
  await expect(dialog.getByText("The name is free.")).toBeVisible();
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toBeHidden();
}

/** "Add from Azure Key Vault" for one credential of an endpoint. */
export async function addFromVault(page: Page, slot: string, vaultSecret: string): Promise<void> {
  await page.getByRole("button", { name: `Add reference: ${slot}` }).click();
  await page.getByRole("menuitem", { name: "Add from Azure Key Vault" }).click();
  const dialog = dialogOf(page, `Add from Azure Key Vault: ${slot}`);
  await dialog.getByRole("searchbox", { name: "Part of a name in the vault" }).fill(vaultSecret);
  await dialog.getByRole("option", { name: new RegExp(vaultSecret) }).click();
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toBeHidden();
}

/** Says what the synced secret is for. */
export async function choosePurpose(page: Page, title: string): Promise<void> {
  const field = page.getByRole("combobox", { name: "What is it for?" });
  await field.click();
  await field.fill(title);
  await page.getByRole("option", { name: new RegExp(`^${title}`) }).click();
}

/** Names the synced secret, creates it, and waits until it is at the edge. */
export async function create(page: Page, synced: string): Promise<void> {
  await page.getByLabel("Synced secret name").fill(synced);
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: `Created: ${synced}` })).toBeVisible();
  await expect(page.getByText("At the edge: the Kubernetes Secret has the values.")).toBeVisible();
}

/** "Create new" from the first page to what to paste into the endpoint. */
export async function storyOfNewReferences(page: Page, synced: string): Promise<void> {
  await page.goto("/");
  await page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name: "Secrets" }).click();
  await page.getByRole("button", { name: "New", exact: true }).click();
  await choosePurpose(page, "Device: username password");
  await createNew(page, "Username reference", `${synced}-username`, LOGIN.username);
  await createNew(page, "Password reference", `${synced}-password`, LOGIN.password);
  await create(page, synced);
  await expect(page.getByText(`${synced}/username`, { exact: true })).toBeVisible();
  await expect(page.getByText(`${synced}/password`, { exact: true })).toBeVisible();
}

/** The row of a synced secret in the list. */
export function row(page: Page, synced: string): Locator {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name: synced, exact: true }) });
}
