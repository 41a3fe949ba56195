/** The simulated vault, as somebody who may read its values. */
import { readFileSync } from "node:fs";

import type { Endpoints } from "./dev";
import { Https } from "./https";

const API = "api-version=7.4";

/** Calls the vault as Azure's clients do. */
export class Vault {
  readonly #https: Https;
  #token: Promise<string> | undefined;

  constructor(private readonly endpoints: Endpoints) {
    this.#https = Https.trusting(endpoints.vault_ca);
  }

  /** The latest value of a secret; `undefined` where there is none. */
  async value(name: string): Promise<string | undefined> {
    const { status, body } = await this.#call(`secrets/${name}`);
    return status === 404 ? undefined : (JSON.parse(body) as { value: string }).value;
  }

  /** Stores a value, as another tool would. */
  async set(name: string, value: string): Promise<void> {
    const { status, body } = await this.#call(`secrets/${name}`, "PUT", JSON.stringify({ value }));
    if (status !== 200) {
      throw new Error(`the vault answers ${status}: ${body}`);
    }
  }

  async #call(path: string, method = "GET", body?: string): ReturnType<Https["send"]> {
    this.#token ??= this.#signIn();
    return this.#https.send(`${this.endpoints.vault_uri}${path}?${API}`, {
      method,
      headers: { authorization: `Bearer ${await this.#token}`, "content-type": "application/json" },
      ...(body !== undefined && { body }),
    });
  }

  async #signIn(): Promise<string> {
    const { body } = await this.#https.send(this.endpoints.vault_token_url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: readFileSync(this.endpoints.vault_token_request, "utf8"),
    });
    return (JSON.parse(body) as { access_token: string }).access_token;
  }
}
