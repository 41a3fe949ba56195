/** Through the router: what a screen gets to see of an address is more than what the functions of `search.ts` return. */
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { cleanup, render, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { newRouter } from "./router";

// Only addresses are looked at: no screen is loaded.
vi.mock("@tanstack/react-router", async (original) => ({ ...(await original<object>()), lazyRouteComponent: () => () => null }));
vi.mock("./shell", () => ({ Shell: () => null }));

afterEach(cleanup);

/** What the screen of an address gets to see, and the address that then stands in the browser. */
async function seen(address: string) {
  const router = newRouter(createMemoryHistory({ initialEntries: [address] }));
  render(<RouterProvider router={router} />);
  await waitFor(() => expect(router.state.matches.length).toBeGreaterThan(1));
  return { search: router.state.matches.at(-1)?.search, address: router.state.location.href };
}

test.each([
  ["/secrets?state=bogus", "/secrets"],
  ["/secrets?search=%7B%22a%22%3A1%7D", "/secrets"],
  ["/secrets?expiring=yes&origin=bogus&utm=1", "/secrets"],
  ["/vault?search=%7B%7D&unsynced=1", "/vault"],
  ["/new?vaultSecret=%7B%7D", "/new"],
  ["/certificates?search=[1]&kind=bogus", "/certificates"],
  ["/uses?broken=1", "/uses"],
  ["/activity?from=garbage&until=garbage", "/activity"],
  ["/activity?hours=abc", "/activity"],
  ["/activity?hours=-5", "/activity"],
  ["/activity?hours=1e300", "/activity"],
  ["/activity?hours=3000000000", "/activity"],
  ["/activity?from=%2B020000-01-01T00:00:00Z&until=-000001-01-01T00:00:00Z", "/activity"],
  ["/?utm=1", "/"],
])("%s is the same as %s", async (address, clean) => {
  expect(await seen(address)).toEqual({ search: {}, address: clean });
});

test("what is as it should be stays beside garbage", async () => {
  const { search } = await seen("/secrets?state=failed&state=bogus&search=pump&expiring=true&utm=1");
  expect(search).toEqual({ state: ["failed"], search: "pump", expiring: true });
});
