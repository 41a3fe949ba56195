/** The page and the service that it belongs to: up, killed, up again, and away. */
import { expect, test } from "./support/fixtures";
import { UNREACHABLE } from "./support/watched";

test("every screen opens from the menu, and the browser's own back button leads back", async ({ page }) => {
  await page.goto("/");
  const menu = page.getByRole("navigation", { name: "Screens" });
  for (const name of ["Secrets", "Key Vault", "Uses", "Certificates", "Activity", "Overview"]) {
    await menu.getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name: new RegExp(name) })).toBeVisible();
    await expect(page).toHaveTitle(new RegExp(name));
  }
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1, name: "Activity" })).toBeVisible();
});
