/** A certified OpenID Connect provider on loopback: oidc-provider of npm, with its own pages to sign in on. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { once } from "node:events";

import { expect, type Page } from "@playwright/test";
import Provider from "oidc-provider";

import type { Identity } from "./certificate";

/** As which client the page comes. */
export const CLIENT = "secret-console";

/** The provider. */
export class Issuer {
  /** How long tokens that are given from now on live, in seconds. */
  tokenLife = 3_600;
  /** Whether tokens come with one to renew them. */
  renews = true;
  /** By which grants tokens were given, in order. */
  readonly grants: string[] = [];

  private constructor(private readonly server: Server) {}

  #answer: ReturnType<Provider["callback"]> | undefined;

  /** Starts one. */
  static async start(identity: Identity): Promise<Issuer> {
    const server = createServer(identity, (request, response) => issuer.#answered(request, response));
    const issuer = new Issuer(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return issuer;
  }

  /** What its tokens call it. */
  get url(): string {
    return `https://localhost:${(this.server.address() as AddressInfo).port}`;
  }

  /** Lets a page sign people in; the service, which fetches keys before, must run to say where its page is. */
  register(origin: string): void {
    this.#answer = this.#provider([`${origin}/signed-in`]).callback();
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }

  /** What somebody does in the window that the page opens. */
  async signInAs(window: Page, name: string): Promise<void> {
    await window.getByPlaceholder("Enter any login").fill(name);
    await window.getByPlaceholder("and password").fill("anything");
    await window.getByRole("button", { name: "Sign-in" }).click();
    await Promise.all([window.waitForEvent("close"), window.getByRole("button", { name: "Continue" }).click()]);
    expect(window.isClosed()).toBe(true);
  }

  #answered(request: IncomingMessage, response: ServerResponse): void {
    this.#answer ??= this.#provider([]).callback();
    this.#answer(request, response);
  }

  #provider(redirectUris: readonly string[]): Provider {
    const provider = new Provider(this.url, {
      clients: [
        {
          client_id: CLIENT,
          token_endpoint_auth_method: "none",
          redirect_uris: redirectUris,
          grant_types: ["authorization_code", "refresh_token"],
          response_types: ["code"],
        },
      ],
      pkce: { required: () => true },
      cookies: { keys: ["of a test"] },
      clientBasedCORS: (_context: unknown, origin: string) => redirectUris.some((uri) => uri.startsWith(origin)),
      // As Entra's, the ID token has the claims itself.
      conformIdTokenClaims: false,
      claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
      findAccount: (_context: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, preferred_username: `${id}@contoso.example`, groups: id === "ada" ? ["operators"] : ["visitors"] }),
      }),
      issueRefreshToken: () => this.renews,
      features: { devInteractions: { enabled: true } },
      ttl: {
        AccessToken: () => this.tokenLife,
        IdToken: () => this.tokenLife,
        RefreshToken: 86_400,
        Interaction: 3_600,
        Session: 86_400,
        Grant: 86_400,
        AuthorizationCode: 60,
      },
    });
    provider.on("grant.success", ({ oidc }) => this.grants.push(String(oidc.params?.["grant_type"])));
    return provider;
  }
}
