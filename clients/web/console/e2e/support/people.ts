/** Tests of a service that wants to know who calls. */
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { SecretServiceClient, UnauthenticatedError } from "@iotoperations/secret-service-client";
import { test as base, expect as expected, type Page } from "@playwright/test";

import { certificateFor } from "./certificate";
import { Dev } from "./dev";
import { Issuer } from "./issuer";
import { EVERYTHING, LOOKING, Serve } from "./serve";
import { Watched } from "./watched";

/** The tokens of two service accounts: one may do everything, the other only look. */
export const OPERATOR = "token-of-an-operator-8c1f2d";
export const VIEWER = "token-of-a-viewer-77ab02";

/** Who may do what when a test begins. */
export const PEOPLE = [
  { name: "system:serviceaccount:people:operator", verbs: EVERYTHING, token: OPERATOR },
  { name: "system:serviceaccount:people:viewer", verbs: LOOKING, token: VIEWER },
  { name: "oidc:ada", verbs: EVERYTHING },
  { name: "oidc:eve", verbs: LOOKING },
] as const;

/** A program that calls with a token. */
export function clientOf(target: string, token: string): SecretServiceClient {
  return new SecretServiceClient(createGrpcWebTransport({ baseUrl: target }), { target, token: () => Promise.resolve(token) });
}

async function isKnown(client: SecretServiceClient): Promise<boolean> {
  try {
    await client.getCaller();
    return true;
  } catch (error) {
    if (error instanceof UnauthenticatedError) {
      return false;
    }
    throw error;
  }
}

interface Site {
  readonly dev: Dev;
  readonly issuer: Issuer;
  readonly serve: Serve;
}

/** A test with a page in front of a `serve` with an issuer. */
export const test = base.extend<{ readonly watched: Watched; readonly people: undefined }, { readonly site: Site }>({
  site: [
    // Playwright reads from the pattern what a fixture needs.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const dev = await Dev.start();
      const issuer = await Issuer.start(certificateFor(dev.data));
      const serve = await Serve.start(dev, issuer);
      issuer.register(serve.url);
      await use({ dev, issuer, serve });
      await serve.stop();
      await issuer.stop();
      await dev.remove();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  people: [
    async ({ site }, use) => {
      await site.serve.people(...PEOPLE);
      // The service remembers for a moment that it refused a token, such as one that the test before took away.
      await expected.poll(() => isKnown(clientOf(site.serve.url, OPERATOR)), { timeout: 60_000 }).toBe(true);
      site.issuer.tokenLife = 3_600;
      site.issuer.renews = true;
      site.issuer.grants.length = 0;
      await use(undefined);
    },
    { auto: true },
  ],
  baseURL: async ({ site }, use) => use(site.serve.url),
  // The authority of the issuer's certificate is the `dev`'s own.
  ignoreHTTPSErrors: true,
  watched: async ({ site }, use) => {
    const watched = new Watched();
    watched.ignore(site.issuer.url);
    await use(watched);
    watched.check();
  },
  context: async ({ context, watched }, use) => {
    await watched.watch(context);
    await use(context);
  },
});

/** Signs in with a token. */
export async function paste(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token of a service account").fill(token);
  await page.getByRole("button", { name: "Sign in with the token" }).click();
}

export { expect } from "@playwright/test";
