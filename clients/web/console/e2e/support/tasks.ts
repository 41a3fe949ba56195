/** How long the page is deaf at a time. */
import type { Page } from "@playwright/test";

interface WithTasks extends Window {
  longTasks?: number[];
}

/** Begins to look. */
export async function watchTasks(page: Page): Promise<void> {
  await page.evaluate(() => {
    const tasks: number[] = [];
    (window as WithTasks).longTasks = tasks;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => tasks.push(entry.duration))).observe({ type: "longtask" });
  });
}

/** The longest task since then in milliseconds, 0 where none took 50. */
export async function longestTask(page: Page): Promise<number> {
  await page.waitForTimeout(300);
  return page.evaluate(() => Math.max(0, ...((window as WithTasks).longTasks ?? [])));
}
