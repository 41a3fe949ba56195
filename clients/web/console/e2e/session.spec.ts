/** Who signs in, how, and what becomes of it when it ends. */
import type { Page } from "@playwright/test";

import { expectAccessible } from "./support/axe";
import { expect, OPERATOR, paste, PEOPLE, test, VIEWER } from "./support/people";
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

test("a sign-in that ends is asked for again in place, and nothing that was typed is lost", async ({ page, site }) => {
  await page.goto("/secrets");
  await paste(page, OPERATOR);
  await expect(menu(page)).toBeVisible();
  const search = page.getByRole("searchbox").first();
  await search.fill("what was typed");

  // The account is gone: its token is void.
  const again = "another-token-of-the-operator";
  const [operator, ...others] = PEOPLE;
  await site.serve.people({ ...operator, token: again }, ...others);
  const ended = page.getByText("Your sign-in has ended");
  await expect(async () => {
    await page.getByRole("button", { name: "Who is signed in" }).click();
    await page.keyboard.press("Escape");
    await menu(page).getByRole("link", { name: "Secrets" }).click();
    await expect(ended).toBeVisible({ timeout: 2_000 });
  }).toPass();
  await expectAccessible(page, "a sign-in that has ended");
  await paste(page, again);
  await expect(ended).toBeHidden();
  await expect(search).toHaveValue("what was typed");
});

test("what a caller may not do is greyed, and says whose right is missing", async ({ page }) => {
  await page.goto("/secrets");
  await paste(page, VIEWER);
  const create = page.getByRole("button", { name: "New", exact: true });
  await expect(create).toHaveAttribute("aria-disabled", "true");
  await create.hover();
  await expect(page.getByRole("tooltip").filter({ visible: true })).toContainText("system:serviceaccount:people:viewer");
  await create.click({ force: true });
  await expect(page.getByRole("heading", { level: 1, name: "Secrets" })).toBeVisible();
  await expectAccessible(page, "a page of somebody who only looks");
});
