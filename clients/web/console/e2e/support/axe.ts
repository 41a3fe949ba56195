/** What axe finds, in words. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { expect, type Page } from "@playwright/test";

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly unknown[]; readonly failureSummary?: string }[];
}

/** Fluent keeps the focus where it belongs by elements that pass it on as soon as they get it: nobody ever is on one. */
const SENTINELS = "[data-tabster-dummy]";
/** What floats above the page is no part of a landmark, and is left for where it was opened. */
const FLOATING = ".fui-MenuPopover, .fui-PopoverSurface, .fui-Listbox, .fui-Tooltip__content, .fui-Toaster";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Everything that axe finds on the page as it is now. Its script comes by the debugger: the page's policy allows no other. */
export async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in window))) {
    await page.evaluate(source);
  }
  // Something that fades in has other colours on the way.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((one) => one.effect?.getComputedTiming().iterations !== Infinity).map((one) => one.finished)));
  const found = await page.evaluate(
    async ([sentinels, floating]) => {
      const { axe } = window as unknown as { axe: { run: (context: object) => Promise<{ violations: Violation[] }> } };
      const { violations: all } = await axe.run({ exclude: [[sentinels]] });
      const floats = ({ target }: Violation["nodes"][number]): boolean =>
        document.querySelector(String(target[0]))?.closest(floating) !== null;
      return all.map((one) => ({ ...one, nodes: one.nodes.filter((node) => one.id !== "region" || !floats(node)) }));
    },
    [SENTINELS, FLOATING] as const,
  );
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(" ")}: ${failureSummary ?? ""}`),
  );
}

/** Fails where axe finds anything. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  expect(await violations(page), `what axe finds on ${what}`).toEqual([]);
}
