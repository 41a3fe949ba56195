/** The cluster of a service, as its administrator sees it: simulated or real. */
import { readFileSync } from "node:fs";

import { Https } from "./https";

/** An object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

/** Rights of a user of the simulated cluster. */
export interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly namespaces: readonly string[];
  readonly resourceNames?: readonly string[];
}

const PLURALS: Readonly<Record<string, string>> = {
  AssetEndpointProfile: "assetendpointprofiles",
  DataflowEndpoint: "dataflowendpoints",
  SecretProviderClass: "secretproviderclasses",
  SecretSync: "secretsyncs",
};
const CORE_PLURALS: Readonly<Record<string, string>> = { Secret: "secrets", ServiceAccount: "serviceaccounts" };

/** Calls the API server. */
export class Cluster {
  private constructor(
    private readonly server: string,
    private readonly token: string,
    private readonly https: Https,
    readonly namespace: string,
  ) {}

  /** With the one user of a kubeconfig. */
  static of(kubeconfig: string, namespace: string): Cluster {
    const text = readFileSync(kubeconfig, "utf8");
    const field = (name: string): string => new RegExp(`${name}: "?([^"\\s]+)"?`).exec(text)?.[1] ?? "";
    const data = field("certificate-authority-data");
    const ca = data === "" ? readFileSync(field("certificate-authority")) : Buffer.from(data, "base64");
    return new Cluster(field("server"), field("token"), new Https(ca), namespace);
  }

  /** Makes an object. */
  async create(object: KubernetesObject): Promise<void> {
    await this.#call("POST", this.#path(object.apiVersion, object.kind), object);
  }

  /** Removes an object. */
  async remove(apiVersion: string, kind: string, name: string): Promise<void> {
    await this.#call("DELETE", `${this.#path(apiVersion, kind)}/${name}`);
  }

  /** What a Secret holds, as text; `undefined` where there is none. */
  async secret(name: string): Promise<Record<string, string> | undefined> {
    const { status, body } = await this.https.send(`${this.server}${this.#path("v1", "Secret")}/${name}`, {
      headers: this.#headers(),
    });
    if (status === 404) {
      return undefined;
    }
    const { data = {} } = JSON.parse(body) as { data?: Record<string, string> };
    return Object.fromEntries(
      Object.entries(data).map(([key, bytes]) => [key, Buffer.from(bytes, "base64").toString()]),
    );
  }

  /** Makes a namespace. */
  async createNamespace(name: string): Promise<void> {
    await this.#call("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }

  /** Says who has which token of the simulated cluster and which rights, in place of all that was said before. */
  async setUsers(users: readonly { token: string; user: { username: string; groups: string[] }; allow: readonly Rule[] }[]): Promise<void> {
    await this.#call("PUT", "/.double/users", users.map(({ user, ...rest }) => ({ ...rest, user: { uid: "", ...user } })));
  }

  #path(apiVersion: string, kind: string): string {
    const plural = apiVersion === "v1" ? CORE_PLURALS[kind] : PLURALS[kind];
    if (plural === undefined) {
      throw new Error(`nobody said how many ${kind} are called`);
    }
    return `${apiVersion === "v1" ? "/api" : "/apis"}/${apiVersion}/namespaces/${this.namespace}/${plural}`;
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
  }

  async #call(method: string, path: string, body?: unknown): Promise<void> {
    const answer = await this.https.send(`${this.server}${path}`, {
      method,
      headers: this.#headers(),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    }
  }
}

/** An endpoint of OPC UA that signs in with two keys of a synced secret. */
export function endpointThatUses(synced: string, name: string): KubernetesObject {
  return {
    apiVersion: "deviceregistry.microsoft.com/v1",
    kind: "AssetEndpointProfile",
    metadata: { name },
    spec: {
      uuid: "33333333-3333-3333-3333-333333333333",
      endpointProfileType: "Microsoft.OpcUa",
      targetAddress: "opc.tcp://opcplc-000000:50000",
      authentication: {
        method: "UsernamePassword",
        usernamePasswordCredentials: {
          usernameSecretName: `${synced}/username`,
          passwordSecretName: `${synced}/password`,
        },
      },
    },
  };
}
