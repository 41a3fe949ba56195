import { expect, test } from "vitest";

import { waysOf } from "./ways";

const OIDC = { issuer: "https://issuer.example", client_id: "console", scopes: ["openid"], token: "id" } as const;

test("the way to a token of the cluster names the audience that the service asks for", () => {
  const { byToken, tokenLabel, tokenHint } = waysOf({ kinds: ["certificate", "token"], token: { audience: "https://plant 7" } });
  expect([byToken, tokenLabel]).toEqual([true, "Token of a service account"]);
  expect(tokenHint).toContain("kubectl create token NAME -n NAMESPACE --audience 'https://plant 7' prints one.");
});

test("where the cluster's tokens don't count, nobody is told to make one", () => {
  const { byIssuer, byToken, tokenLabel, tokenHint } = waysOf({ kinds: ["oidc"], oidc: OIDC });
  expect([byIssuer, byToken, tokenLabel]).toEqual([true, true, "Token of the issuer"]);
  expect(tokenHint).not.toContain("kubectl");
});

test("a service that offers nothing may still take a token", () => {
  expect(waysOf({ kinds: [] })).toMatchObject({ byIssuer: false, byToken: true, byCertificate: false, tokenLabel: "Token" });
  expect(waysOf({ kinds: ["certificate"] })).toMatchObject({ byToken: false, byCertificate: true });
});
