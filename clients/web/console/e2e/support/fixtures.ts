/** What the tests of the page begin with. */
import { test as base, type BrowserContext, type Page } from "@playwright/test";

import { Dev } from "./dev";
import { Watched } from "./watched";

interface PerTest {
  /** What happened on all pages of the test. */
  readonly watched: Watched;
  /** Another person's page: another browser, as far as storage and sessions go. */
  readonly another: () => Promise<Page>;
}

interface PerWorker {
  /** A running `dev`. Whoever kills it starts it again; tests share it, so each has names of its own. */
  readonly dev: Dev;
}

/** A test with a page in front of a real service. */
export const test = base.extend<PerTest, PerWorker>({
  dev: [
    // Playwright reads from the pattern what a fixture needs.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const dev = await Dev.start();
      await use(dev);
      await dev.remove();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  baseURL: async ({ dev }, use) => use(dev.url),
  // eslint-disable-next-line no-empty-pattern
  watched: async ({}, use) => {
    const watched = new Watched();
    await use(watched);
    watched.check();
  },
  context: async ({ context, watched }, use) => {
    await watched.watch(context);
    await use(context);
  },
  another: async ({ browser, baseURL, watched }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext({ ...(baseURL !== undefined && { baseURL }), viewport: { width: 1280, height: 800 } });
      contexts.push(context);
      await watched.watch(context);
      return context.newPage();
    });
    for (const context of contexts) {
      await context.close();
    }
  },
});

export { expect } from "@playwright/test";
