/**
 * The page in a real browser, Debian's Chromium, against real services: `scripts/web-console` runs this, and says which service
 * and which Chromium by SECRET_SERVICE_BINARY and CHROMIUM.
 */
import { defineConfig } from "@playwright/test";

const isRoot = process.getuid?.() === 0;

export default defineConfig({
  outputDir: "test-results",
  // Each worker has a service and a browser of its own; two cores carry two.
  workers: Number(process.env["E2E_WORKERS"] ?? 2),
  fullyParallel: false,
  retries: 0,
  forbidOnly: true,
  reporter: [["list"]],
  timeout: 120_000,
  // Nothing on loopback takes this long, also on a busy machine.
  expect: { timeout: 20_000 },
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    locale: "en-US",
    timezoneId: "Europe/Berlin",
    // A trace holds what is on the page, and values that are typed there: those of these tests are made up.
    trace: "retain-on-failure",
    actionTimeout: 20_000,
    navigationTimeout: 30_000,
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // Chromium refuses a sandbox to root.
      args: isRoot ? ["--no-sandbox"] : [],
    },
  },
  projects: [
    { name: "e2e", testDir: "e2e", testMatch: "*.spec.ts" },
    { name: "screenshots", testDir: "tools", testMatch: "screenshots.ts" },
    { name: "bench", testDir: "tools", testMatch: "bench.ts" },
  ],
});
