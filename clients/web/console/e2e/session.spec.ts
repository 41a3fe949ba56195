/** Who signs in, how, and what becomes of it when it ends. */
import { existing } from "@iotoperations/secret-service-client";
import type { Page } from "@playwright/test";

import { expectAccessible } from "./support/axe";
import { clientOf, expect, OPERATOR, paste, PEOPLE, test, VIEWER } from "./support/people";
import { choosePurpose, create, createNew, dialogOf, LOGIN } from "./support/story";
import { expectForgotten } from "./support/values";

/** Signs in at the issuer, from a page that asks who is there. */
async function signIn(page: Page, issuer: { signInAs: (window: Page, name: string) => Promise<void> }, name: string): Promise<void> {
  const opens = page.waitForEvent("popup");
  await page.getByRole("button", { name: /^Sign in with localhost/ }).click();
  await issuer.signInAs(await opens, name);
}

const menu = (page: Page) => page.getByRole("navigation", { name: "Screens" });

test("a pasted token signs in, lives in the memory of the page alone, and is forgotten by a reload", async ({ page, watched }) => {
  await page.goto("/");
  await expectAccessible(page, "the sign-in");
  await paste(page, OPERATOR);
  await expect(menu(page)).toBeVisible();
  await page.getByRole("button", { name: "Who is signed in" }).click();
  await expect(page.getByRole("menu").getByText("system:serviceaccount:people:operator", { exact: true })).toBeVisible();
  await page.keyboard.press("Escape");
  await expectForgotten(page, watched, OPERATOR);

  await page.reload();
  await expect(page.getByRole("button", { name: "Sign in with the token" })).toBeVisible();
});

test("whoever signs out is asked again who they are", async ({ page }) => {
  await page.goto("/");
  await paste(page, OPERATOR);
  await page.getByRole("button", { name: "Who is signed in" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in to the Secret Service" })).toBeVisible();
  await expect(menu(page)).toBeHidden();
});

test("what is no token is refused before it is sent, and a token that nobody gave is refused by the service", async ({ page, watched }) => {
  await page.goto("/");
  await paste(page, "two words");
  await expect(page.getByText(/not a token/)).toBeVisible();
  await paste(page, "nobody.gave.this");
  await expect(page.getByText(/sign in again/i).first()).toBeVisible();
  await expectForgotten(page, watched, "nobody.gave.this");
});

test("somebody signs in at the issuer in a window of its own, and no token is left anywhere", async ({ page, site, watched }) => {
  await page.goto("/secrets?search=pump");
  await signIn(page, site.issuer, "ada");
  await expect(menu(page)).toBeVisible();
  await expect(page).toHaveURL(/\/secrets\?search=pump/);
  await page.getByRole("button", { name: "Who is signed in" }).click();
  await expect(page.getByRole("menu").getByText("oidc:ada", { exact: true })).toBeVisible();
  await page.getByRole("menuitem", { name: "Who am I, and what may I do" }).click();
  const person = page.getByRole("dialog", { name: "Who you are to the service" });
  await expect(person.getByText("oidc-group:operators")).toBeVisible();
  await expectAccessible(page, "who you are");
  await person.getByRole("button", { name: "Close" }).click();
  expect(site.issuer.grants).toEqual(["authorization_code"]);
  // All JSON web tokens begin so.
  await expectForgotten(page, watched, "eyJ");
});

test("a window that was closed before anybody signed in holds nobody up: the wait is cancelled, and the page can try again", async ({ page, site }) => {
  await page.goto("/");
  const opens = page.waitForEvent("popup");
  await page.getByRole("button", { name: /^Sign in with localhost/ }).click();
  const opened = await opens;
  await expect(opened.getByPlaceholder("Enter any login")).toBeVisible();
  await opened.close();
  await expect(page.getByText(/^Waiting for the window of localhost/)).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await signIn(page, site.issuer, "ada");
  await expect(menu(page)).toBeVisible();
});

test("a token that ends soon is renewed without a word", async ({ page, site }) => {
  site.issuer.tokenLife = 30;
  await page.goto("/");
  await signIn(page, site.issuer, "ada");
  await expect(menu(page)).toBeVisible();
  await menu(page).getByRole("link", { name: "Secrets" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await expect.poll(() => site.issuer.grants).toContain("refresh_token");
  await expect(page.getByText("Your sign-in has ended")).toBeHidden();
});

test("a sign-in that ends is asked for again in place, and nothing that was typed is lost", async ({ page, site, watched }) => {
  await page.goto("/new");
  await paste(page, OPERATOR);
  await choosePurpose(page, "Device: username password");
  await page.getByRole("button", { name: "Add reference: Username reference" }).click();
  await page.getByRole("menuitem", { name: "Create new" }).click();
  const dialog = dialogOf(page, "Create new: Username reference");
  await dialog.getByRole("textbox", { name: "Secret value" }).fill(LOGIN.username);

  // A simulated cluster that was started again knows no token of before.
  const again = "another-token-of-the-operator";
  const [operator, ...others] = PEOPLE;
  await site.dev.kill();
  await site.dev.start();
  await site.serve.people({ ...operator, token: again }, ...others);
  await dialog.getByRole("textbox", { name: "Secret name" }).fill("kept-username");
  const ended = dialog.getByText("Your sign-in has ended");
  await expect(ended).toBeVisible();
  await expectAccessible(page, "a sign-in that has ended");
  await dialog.getByLabel("Token of a service account").fill(again);
  await dialog.getByRole("button", { name: "Sign in with the token" }).click();
  await expect(ended).toBeHidden();
  await expect(dialog.getByRole("textbox", { name: "Secret value" })).toHaveValue(LOGIN.username);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog).toBeHidden();

  await createNew(page, "Password reference", "kept-password", LOGIN.password);
  await create(page, "kept");
  expect(await site.serve.cluster.secret("kept")).toEqual(LOGIN);
  await expectForgotten(page, watched, again, ...Object.values(LOGIN));
});

test("somebody else who signs in where another one's sign-in ended gets a page of their own", async ({ page, site }) => {
  await page.goto("/secrets");
  await paste(page, OPERATOR);
  await page.getByRole("searchbox").first().fill("what was typed");
  const shell = await menu(page).evaluateHandle((element) => element);
  const [operator, ...others] = PEOPLE;
  await site.dev.kill();
  await site.dev.start();
  await site.serve.people({ ...operator, token: "another-token-of-the-operator" }, ...others);
  const ended = page.getByText("Your sign-in has ended");
  await expect(ended).toBeVisible();
  await paste(page, VIEWER);
  await expect(ended).toBeHidden();
  await page.getByRole("button", { name: "Who is signed in" }).click();
  await expect(page.getByRole("menu").getByText("system:serviceaccount:people:viewer", { exact: true })).toBeVisible();
  expect(await shell.evaluate((element) => element.isConnected)).toBe(false);
});

test("what a caller may not do is greyed, and says whose right is missing", async ({ page, site }) => {
  const operator = clientOf(site.serve.url, OPERATOR);
  await operator.createSyncedSecret("seen", [existing("token", "vaultSecrets/historian-token")], { waitMs: 20_000 });
  await page.goto("/secrets/seen");
  await paste(page, VIEWER);
  await expect(page.getByRole("heading", { level: 1, name: "seen" })).toBeVisible();
  for (const name of ["Sync now", "Edit", "Delete"]) {
    const button = page.getByRole("button", { name, exact: true });
    await expect(button).toHaveAttribute("aria-disabled", "true");
    await button.focus();
    await expect(page.getByRole("tooltip").filter({ visible: true })).toContainText("system:serviceaccount:people:viewer");
  }
  await page.getByRole("button", { name: "Delete", exact: true }).click({ force: true });
  await expect(page.getByRole("alertdialog").or(page.getByRole("dialog"))).toBeHidden();
  await expectAccessible(page, "a page of somebody who only looks");
});
