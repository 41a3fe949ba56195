/**
 * The first story on another edge than the simulated one: E2E_PLACE says where a service is, and how to look into its cluster.
 * tests/console.rs starts one on a real control plane.
 */
import { expect, test as base } from "@playwright/test";

import { Cluster } from "./support/cluster";
import { LOGIN, storyOfNewReferences } from "./support/story";
import { expectForgotten } from "./support/values";
import { Watched } from "./support/watched";

interface Place {
  readonly url: string;
  readonly kubeconfig: string;
  readonly namespace: string;
}

const told = process.env["E2E_PLACE"];
const place = told === undefined ? undefined : (JSON.parse(told) as Place);
const test = base.extend({ ...(place !== undefined && { baseURL: place.url }) });

test("Create new: what is typed in the page is in a Secret of a real API server", async ({ page, context }) => {
  test.skip(place === undefined, "E2E_PLACE names no other edge");
  const watched = new Watched();
  await watched.watch(context);
  await storyOfNewReferences(page, "edp1secrets");
  const cluster = Cluster.of(place?.kubeconfig ?? "", place?.namespace ?? "");
  expect(await cluster.secret("edp1secrets")).toEqual(LOGIN);
  await expectForgotten(page, watched, ...Object.values(LOGIN));
  watched.check();
});
