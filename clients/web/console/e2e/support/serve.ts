/**
 * A real `secret-service serve`, for people who must say who they are: it works on the simulated vault and cluster of a `dev`, in
 * a namespace of its own there.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Cluster, type Rule } from "./cluster";
import { binary, environment, type Dev } from "./dev";
import { Front } from "./front";
import { CLIENT, type Issuer } from "./issuer";

const NAMESPACE = "people";
const PATIENCE_MS = 60_000;
/** All that may be done to virtual resources. */
export const EVERYTHING = ["get", "list", "watch", "create", "update", "delete", "sync", "adopt", "reference", "recover"];
/** What somebody may do who only looks. */
export const LOOKING = ["get", "list", "watch"];

/** Somebody with rights. */
export interface Person {
  /** As the service calls them: `oidc:ada`, or the user of a token. */
  readonly name: string;
  readonly verbs: readonly string[];
  /** A service account's token for the service. */
  readonly token?: string;
}

/** The process. */
export class Serve {
  #process: ChildProcess | undefined;
  #front: Front | undefined;
  #address = "127.0.0.1:0";

  private constructor(
    private readonly dev: Dev,
    private readonly issuer: Issuer,
  ) {}

  /** Starts one. */
  static async start(dev: Dev, issuer: Issuer): Promise<Serve> {
    const serve = new Serve(dev, issuer);
    await dev.cluster.createNamespace(NAMESPACE);
    await serve.#start();
    return serve;
  }

  /** Where its page is. */
  get url(): string {
    return this.#front?.url ?? `http://${this.#address}`;
  }

  /** Where it keeps synced secrets. */
  get cluster(): Cluster {
    return Cluster.of(this.dev.endpoints.kubeconfig, NAMESPACE);
  }

  /** Says who may do what, in place of all that was said before. */
  async people(...people: readonly Person[]): Promise<void> {
    const rule = (verbs: readonly string[]): Rule => ({
      verbs,
      apiGroups: ["secret-service.iotoperations"],
      resources: ["syncedsecrets", "vaultsecrets"],
      namespaces: [NAMESPACE],
    });
    await this.cluster.setUsers(
      people.map(({ name, verbs, token }) => ({
        token: token ?? `nobody has this: ${name}`,
        user: { username: name, groups: [] },
        allow: [rule(verbs)],
      })),
    );
  }

  async stop(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.kill("SIGKILL")) {
      await once(this.#process, "exit");
    }
    await this.#front?.stop();
  }

  /** What it wrote until now. */
  log(): string {
    return readFileSync(this.#log, "utf8");
  }

  get #log(): string {
    return join(this.dev.directory, "serve.log");
  }

  async #start(): Promise<void> {
    const config = join(this.dev.directory, "serve.toml");
    writeFileSync(config, this.#configuration());
    const log = openSync(this.#log, "a");
    this.#process = spawn(binary(), ["serve", "--config", config], { env: environment(), stdio: ["ignore", log, log] });
    closeSync(log);
    const patience = Date.now() + PATIENCE_MS;
    for (;;) {
      const told = /"addresses":"([^"]+)"/.exec(this.log())?.[1];
      if (told !== undefined) {
        this.#address = told;
        break;
      }
      if (this.#process.exitCode !== null || Date.now() > patience) {
        throw new Error(this.log());
      }
      await sleep(20);
    }
    this.#front = await Front.before(`http://${this.#address}`);
  }

  #configuration(): string {
    const { vault_uri, vault_ca, vault_tenant_id, vault_client_id, vault_client_secret_file, vault_token_url, kubeconfig } = this.dev.endpoints;
    return `
[vault]
uri = "${vault_uri}"
verify_challenge = false
ca_file = "${vault_ca}"
[credential]
kind = "client-secret"
tenant_id = "${vault_tenant_id}"
client_id = "${vault_client_id}"
secret_file = "${vault_client_secret_file}"
[cloud]
name = "custom"
authority_host = "${new URL(vault_token_url).origin}/"
[kubernetes]
kubeconfig = "${kubeconfig}"
namespace = "${NAMESPACE}"
[sync]
engine = "direct"
[server]
listen = ["127.0.0.1:0"]
console = true
[authentication]
tokens = true
audience = "https://kubernetes.default.svc.cluster.local"
token_cache = "1s"
[authentication.oidc]
issuer = "${this.issuer.url}"
audience = ["${CLIENT}"]
ca_file = "${vault_ca}"
username_prefix = "oidc:"
groups_prefix = "oidc-group:"
[authentication.oidc.console]
client_id = "${CLIENT}"
scopes = ["openid", "profile", "groups"]
[authorization]
decision_cache = "1s"
[database]
path = "${join(this.dev.directory, "serve.db")}"
[log]
format = "json"
`;
  }
}
