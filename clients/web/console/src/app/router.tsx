/** Which address shows which screen. What a screen shows is in its address, so that it can be kept and passed on. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, type RouterHistory } from "@tanstack/react-router";

import { Empty, Page, Loading } from "../ui/page";
import { Problem } from "../ui/problem";
import { auditSearch, certificatesSearch, createSearch, secretsSearch, usesSearch, vaultSearch } from "./search";
import { Shell } from "./shell";

const root = createRootRoute({
  component: () => (
    <Shell>
      <Outlet />
    </Shell>
  ),
  notFoundComponent: () => (
    <Page title="Not found">
      <Empty title="There is no such page.">Look at the address, or choose one from the menu.</Empty>
    </Page>
  ),
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("../screens/overview/overview"), "Overview"),
});
const secrets = createRoute({
  getParentRoute: () => root,
  path: "/secrets",
  validateSearch: secretsSearch,
  component: lazyRouteComponent(() => import("../screens/secrets/secrets"), "Secrets"),
});
const secret = createRoute({
  getParentRoute: () => root,
  path: "/secrets/$id",
  component: lazyRouteComponent(() => import("../screens/secret/secret"), "Secret"),
});
const create = createRoute({
  getParentRoute: () => root,
  path: "/new",
  validateSearch: createSearch,
  component: lazyRouteComponent(() => import("../screens/create/create"), "Create"),
});
const vault = createRoute({
  getParentRoute: () => root,
  path: "/vault",
  validateSearch: vaultSearch,
  component: lazyRouteComponent(() => import("../screens/vault/vault"), "Vault"),
});
const vaultSecret = createRoute({
  getParentRoute: () => root,
  path: "/vault/$id",
  component: lazyRouteComponent(() => import("../screens/vault/vault-secret"), "VaultSecret"),
});
const uses = createRoute({
  getParentRoute: () => root,
  path: "/uses",
  validateSearch: usesSearch,
  component: lazyRouteComponent(() => import("../screens/uses/uses"), "Uses"),
});
const certificates = createRoute({
  getParentRoute: () => root,
  path: "/certificates",
  validateSearch: certificatesSearch,
  component: lazyRouteComponent(() => import("../screens/certificates/certificates"), "Certificates"),
});
const activity = createRoute({
  getParentRoute: () => root,
  path: "/activity",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("../screens/activity/activity"), "Activity"),
});

const routeTree = root.addChildren([
  overview,
  secrets,
  secret,
  create,
  vault,
  vaultSecret,
  uses,
  certificates,
  activity,
]);

/** A router of this page's addresses; those of the browser's own where no other history is given. */
export function newRouter(history?: RouterHistory) {
  return createRouter({
    routeTree,
    // Without it, a screen would get what its `validateSearch` left out all the same.
    search: { strict: true },
    ...(history !== undefined && { history }),
    defaultPreload: "intent",
    defaultPendingComponent: () => <Loading what="the page" />,
    defaultErrorComponent: ({ error, reset }) => (
      <Page title="Something broke">
        <Problem error={error} title="The page has an error." onRetry={reset} />
      </Page>
    ),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
