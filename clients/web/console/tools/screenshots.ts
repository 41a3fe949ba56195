/**
 * The pictures of docs/console.md: `scripts/web-console screenshots`. Each screen of a `dev` with a plant's secrets, in light, in
 * dark and, where it differs, on a phone. What would be another one in each run (times, versions, ports) is written over.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { createNew as newReference, existing } from "@iotoperations/secret-service-client";
import type { Page } from "@playwright/test";

import { endpointThatUses } from "../e2e/support/cluster";
import type { Dev } from "../e2e/support/dev";
import { expect, test } from "../e2e/support/fixtures";
import { choosePurpose, create, createNew, dialogOf, LOGIN } from "../e2e/support/story";
import { withFewColours } from "./png";

const DIRECTORY = fileURLToPath(new URL("../../../../docs/console/", import.meta.url));
const MAX_BYTES = 100_000;

/** A picture: its name, where it is, and what is done there before it is taken. */
interface Shot {
  readonly name: string;
  readonly path: string;
  readonly title: string;
  readonly narrow?: boolean;
  readonly act?: (page: Page) => Promise<void>;
}

const SHOTS: readonly Shot[] = [
  { name: "overview", path: "/", title: "Overview", narrow: true },
  { name: "secrets", path: "/secrets", title: "Secrets", narrow: true },
  { name: "secret", path: "/secrets/edp1secrets", title: "edp1secrets", narrow: true },
  { name: "delete", path: "/secrets/edp1secrets", title: "edp1secrets", act: askToDelete },
  { name: "new", path: "/new", title: "New synced secret", narrow: true, act: fillIn },
  { name: "create-new", path: "/new", title: "New synced secret", act: openCreateNew },
  { name: "add-from-azure-key-vault", path: "/new", title: "New synced secret", act: openPicker },
  { name: "created", path: "/new", title: "New synced secret", act: createIt },
  { name: "vault", path: "/vault", title: "Key Vault" },
  { name: "vault-secret", path: "/vault/edp1-password", title: "edp1-password" },
  { name: "uses", path: "/uses", title: "Uses" },
  { name: "certificates", path: "/certificates", title: "Certificates" },
  { name: "activity", path: "/activity", title: "Activity" },
];

let made = 0;

test.beforeAll("a plant's secrets", async ({ dev }) => {
  await furnish(dev);
  mkdirSync(DIRECTORY, { recursive: true });
});

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme, reducedMotion: "reduce", timezoneId: "UTC" });
    for (const shot of SHOTS) {
      test(`${shot.name} in ${colorScheme}`, async ({ page }) => {
        await open(page, shot);
        await take(page, colorScheme === "light" ? shot.name : `${shot.name}-dark`);
      });
    }
  });
}

test.describe("narrow", () => {
  test.use({ viewport: { width: 360, height: 740 }, reducedMotion: "reduce", timezoneId: "UTC" });
  for (const shot of SHOTS.filter(({ narrow }) => narrow === true)) {
    test(`${shot.name} on a phone`, async ({ page }) => {
      await open(page, shot);
      await take(page, `${shot.name}-narrow`);
    });
  }
});

async function furnish({ client, cluster }: Dev): Promise<void> {
  const wait = { waitMs: 20_000 };
  const login = [
    newReference("username", "vaultSecrets/edp1-username", LOGIN.username),
    newReference("password", "vaultSecrets/edp1-password", LOGIN.password),
  ];
  await client.createSyncedSecret("edp1secrets", login, { ...wait, description: "OPC UA server of line 1" });
  await cluster.create(endpointThatUses("edp1secrets", "opc-plc-1"));
  const pump = [existing("username", "vaultSecrets/pump-7-username"), existing("password", "vaultSecrets/pump-7-password")];
  await client.createSyncedSecret("pump-7", pump, { ...wait, labels: { line: "3" } });
  await client.createSyncedSecret("historian", [existing("token", "vaultSecrets/historian-token")], wait);
  await client.createSyncedSecret("kafka1secrets", [existing("password", "vaultSecrets/kafka-sasl-password")], wait);
}

async function open(page: Page, { path, title, act }: Shot): Promise<void> {
  await page.goto(path);
  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible();
  await expect(page.getByRole("progressbar")).toHaveCount(0);
  await act?.(page);
}

async function askToDelete(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(dialogOf(page, "Delete edp1secrets?").getByRole("list", { name: "What uses it" })).toBeVisible();
}

async function fillIn(page: Page): Promise<void> {
  await choosePurpose(page, "Device: username password");
  await createNew(page, "Username reference", "press-5-username", LOGIN.username);
}

async function openCreateNew(page: Page): Promise<void> {
  await choosePurpose(page, "Device: username password");
  await page.getByRole("button", { name: "Add reference: Password reference" }).click();
  await page.getByRole("menuitem", { name: "Create new" }).click();
  const dialog = dialogOf(page, "Create new: Password reference");
  await dialog.getByRole("textbox", { name: "Secret name" }).fill("press-5-password");
  await dialog.getByRole("textbox", { name: "Secret value" }).fill(LOGIN.password);
}

async function openPicker(page: Page): Promise<void> {
  await choosePurpose(page, "Device: username password");
  await page.getByRole("button", { name: "Add reference: Username reference" }).click();
  await page.getByRole("menuitem", { name: "Add from Azure Key Vault" }).click();
  await dialogOf(page, "Add from Azure Key Vault: Username reference").getByRole("option", { name: /line-3-camera-username/ }).click();
}

async function createIt(page: Page): Promise<void> {
  made += 1;
  await choosePurpose(page, "Device: username password");
  await createNew(page, "Username reference", `press-${5 + made}-username`, LOGIN.username);
  await createNew(page, "Password reference", `press-${5 + made}-password`, LOGIN.password);
  await create(page, `press-${5 + made}`);
  // It says so in a corner for a while.
  await expect(page.getByText("Dismiss")).toHaveCount(0);
}

async function take(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.fonts.ready);
  await page.evaluate(writeOver);
  const picture = withFewColours(await page.screenshot({ animations: "disabled", caret: "hide" }));
  expect(picture.length, `bytes of ${name}.png`).toBeLessThan(MAX_BYTES);
  writeFileSync(`${DIRECTORY}${name}.png`, picture);
}

/** Runs in the page: puts something in the place of what is another one in each run. */
function writeOver(): void {
  const always: readonly (readonly [RegExp, string])[] = [
    [/127\.0\.0\.1:\d+/g, "contoso-aio.vault.azure.net"],
    [/\b[0-9a-f]{32}\b/g, "8f14e45fceea467a9b1d2c3e4f5a6b7c"],
    [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "01a21ed7-c724-700c-8b79-0ecf4c037066"],
    [/\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?/g, "2026-11-27 09:30"],
    [/\b(just now|(\d+ (second|minute)s?) ago)\b/g, "1 minute ago"],
  ];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const text = node.nodeValue ?? "";
    const after = always.reduce((so, [what, instead]) => so.replace(what, instead), text);
    if (after !== text) {
      node.nodeValue = after;
    }
  }
}
