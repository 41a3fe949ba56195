/** What the page costs, in numbers beside their ceilings: `make bench-console`. It asserts nothing. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import type { Browser, Page } from "@playwright/test";

import { violations } from "../e2e/support/axe";
import { canCrowd, CROWD, crowded } from "../e2e/support/crowd";
import { expect, test } from "../e2e/support/fixtures";
import { longestTask, watchTasks } from "../e2e/support/tasks";

const LOADS = 7;
const SEARCHES = 9;
const WHEELS = 200;
/** The last one that Node 20 runs. */
const LIGHTHOUSE = "lighthouse@12.8.2";
const SCREENS = ["/", "/secrets", "/new", "/vault", "/uses", "/certificates", "/activity"];

const table: string[][] = [];

function note(what: string, ceiling: string, seen: string): void {
  table.push([what, ceiling, seen]);
}

test.afterAll("the numbers", () => {
  const rows = [["what", "ceiling", "seen"], ...table];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  lines.splice(1, 0, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  process.stdout.write(`\n${lines.join("\n")}\n`);
});

test("bytes in the binary", () => {
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const sizes = files.map(({ parentPath, name }) => {
    const content = readFileSync(join(parentPath, name));
    const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
    return brotli.length + gzipSync(content, { level: 9 }).length;
  });
  note("what the binary embeds: each file in brotli and gzip", "2,000 kB", kilobytes(sizes.reduce((sum, size) => sum + size, 0)));
});

test("the first load", async ({ browser, dev }) => {
  test.setTimeout(300_000);
  const loads = [];
  for (let load = 0; load < LOADS; load++) {
    loads.push(await firstLoad(browser, dev.url));
  }
  note("first load, compressed", "350 kB", kilobytes(median(loads.map(({ bytes }) => bytes))));
  note(`from the first byte to usable, median of ${LOADS}`, "1,000 ms", milliseconds(median(loads.map(({ usable }) => usable))));
});

test("ten thousand rows", async ({ browser }) => {
  test.skip(!canCrowd(), "there is no python3 with sqlite3 to fill the database");
  test.setTimeout(600_000);
  const dev = await crowded();
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${dev.url}/secrets`);
  await expect(page.getByText(`${CROWD.toLocaleString("en")} synced secrets`)).toBeVisible({ timeout: 120_000 });
  await page.waitForTimeout(2_000);
  await watchTasks(page);
  await page.getByRole("table", { name: "Synced secrets" }).hover();
  for (let turn = 0; turn < WHEELS; turn++) {
    await page.mouse.wheel(0, turn % 2 === 0 ? 900 : 400);
    await page.waitForTimeout(16);
  }
  note(`${CROWD.toLocaleString("en")} rows: longest task while scrolling`, "50 ms", orLess(await longestTask(page)));
  const searches = [];
  for (let search = 0; search < SEARCHES; search++) {
    searches.push(await searched(page, `pump-0${search}77${search}`));
  }
  note(`${CROWD.toLocaleString("en")} rows: from the last key to the rows, median of ${SEARCHES}`, "100 ms", milliseconds(median(searches)));
  await page.close();
  await dev.remove();
});

test("axe", async ({ browser, dev }) => {
  test.setTimeout(300_000);
  let found = 0;
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await browser.newPage({ colorScheme });
    for (const path of SCREENS) {
      await page.goto(`${dev.url}${path}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await expect(page.getByRole("progressbar")).toHaveCount(0);
      found += (await violations(page)).length;
    }
    await page.close();
  }
  note(`axe: violations on ${SCREENS.length} screens in light and dark`, "0", String(found));
});

test("Lighthouse", ({ dev }) => {
  test.setTimeout(300_000);
  const file = join(tmpdir(), `lighthouse-${process.pid}.json`);
  const names = { performance: "performance", accessibility: "accessibility", "best-practices": "best practices" };
  try {
    const flags = ["--quiet", "--preset=desktop", `--only-categories=${Object.keys(names).join()}`, "--output=json", `--output-path=${file}`];
    const chrome = `--chrome-flags=--headless=new${process.getuid?.() === 0 ? " --no-sandbox" : ""}`;
    execFileSync("npx", ["--yes", LIGHTHOUSE, dev.url, ...flags, chrome], {
      env: { ...process.env, CHROME_PATH: process.env["CHROMIUM"] },
      stdio: ["ignore", "ignore", "inherit"],
      timeout: 240_000,
    });
    const { categories } = JSON.parse(readFileSync(file, "utf8")) as { categories: Record<string, { score: number | null }> };
    for (const [id, name] of Object.entries(names)) {
      const score = categories[id]?.score;
      note(`Lighthouse: ${name}`, "95 or more", score === null || score === undefined ? "none" : String(Math.round(score * 100)));
    }
  } catch (error) {
    note("Lighthouse", "95 or more", `did not run: ${String(error).split("\n")[0] ?? ""}`);
  } finally {
    rmSync(file, { force: true });
  }
});

/** What a browser that was never there before loads, and when somebody can use the page. */
async function firstLoad(browser: Browser, url: string): Promise<{ bytes: number; usable: number }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const debug = await context.newCDPSession(page);
  let bytes = 0;
  const ours = new Set<string>();
  await debug.send("Network.enable");
  debug.on("Network.requestWillBeSent", ({ requestId, request }) => {
    // Answers of the service are no part of the page, and a watch never ends.
    if (!request.url.includes("/iotoperations.")) {
      ours.add(requestId);
    }
  });
  debug.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    bytes += ours.has(requestId) ? encodedDataLength : 0;
  });
  await page.addInitScript(() => {
    const look = (): void => {
      const isUsable = document.querySelector("h1") !== null && document.querySelector("nav a") !== null;
      if (isUsable) {
        performance.mark("usable");
      } else {
        requestAnimationFrame(look);
      }
    };
    requestAnimationFrame(look);
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("usable").length > 0);
  await expect(page.getByRole("progressbar")).toHaveCount(0);
  const usable = await page.evaluate(() => {
    const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    return (performance.getEntriesByName("usable")[0]?.startTime ?? NaN) - (navigation?.responseStart ?? NaN);
  });
  await context.close();
  return { bytes, usable };
}

/** Milliseconds from the last key of a search until its row, and no other, is painted. */
async function searched(page: Page, text: string): Promise<number> {
  const field = page.getByRole("searchbox", { name: /^Search by name/ });
  await field.fill("");
  await expect(page.getByText(`${CROWD.toLocaleString("en")} synced secrets`)).toBeVisible();
  await field.focus();
  await page.keyboard.type(text.slice(0, -1), { delay: 20 });
  await page.evaluate((wanted) => {
    const measured = window as unknown as { measured?: Promise<number> };
    measured.measured = new Promise((resolve) => {
      document.addEventListener(
        "input",
        () => {
          const begun = performance.now();
          const look = (): void => {
            const links = [...document.querySelectorAll("[role=row] a")].filter((link) => link.textContent.includes('pump-'));
            if (links.length === 1 && links[0]?.textContent.endsWith(wanted) === true) {
              resolve(performance.now() - begun);
            } else {
              requestAnimationFrame(look);
            }
          };
          requestAnimationFrame(look);
        },
        { once: true, capture: true },
      );
    });
  }, text);
  await page.keyboard.type(text.slice(-1));
  return page.evaluate(() => (window as unknown as { measured: Promise<number> }).measured);
}

function median(numbers: readonly number[]): number {
  const ordered = numbers.toSorted((one, other) => one - other);
  return ordered[Math.floor(ordered.length / 2)] ?? NaN;
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1_000).toLocaleString("en")} kB`;
}

function milliseconds(time: number): string {
  return `${Math.round(time).toLocaleString("en")} ms`;
}

/** A browser tells of no task under 50 ms. */
function orLess(time: number): string {
  return time === 0 ? "none of 50 ms or more" : milliseconds(time);
}
