/** Where a value could be left behind. */
import { expect, type Page } from "@playwright/test";

import type { Watched } from "./watched";

/** Everything that a page keeps: markup, fields, storage, history. */
async function kept(page: Page): Promise<Record<string, string>> {
  return page.evaluate(async () => {
    const fields = [...document.querySelectorAll("input, textarea, select")].map((field) => (field as HTMLInputElement).value);
    const databases = await indexedDB.databases();
    const caches_ = "caches" in window ? await caches.keys() : [];
    return {
      "the document": document.documentElement.outerHTML,
      "the fields": fields.join("\n"),
      "local storage": JSON.stringify(localStorage),
      "session storage": JSON.stringify(sessionStorage),
      "databases": JSON.stringify(databases),
      "caches": JSON.stringify(caches_),
      "cookies": document.cookie,
      "the address": window.location.href,
      "the state of the history": JSON.stringify(history.state),
      "the name of the window": window.name,
    };
  });
}

/** Fails where a value is left anywhere on a page, in its addresses or in its console. */
export async function expectForgotten(page: Page, watched: Watched, ...values: readonly string[]): Promise<void> {
  const places = {
    ...(await kept(page)),
    "the console": watched.said.join("\n"),
    "the addresses": watched.addresses.join("\n"),
  };
  const found = Object.entries(places).flatMap(([place, text]) =>
    values.filter((value) => text.includes(value) || text.includes(encodeURIComponent(value)) || text.includes(btoa(value))).map((value) => `${value} in ${place}`),
  );
  expect(found, "where a value was left").toEqual([]);
}
