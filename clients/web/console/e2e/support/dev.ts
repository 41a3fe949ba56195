/** A real `secret-service dev` on a directory and ports of its own, to be asked, killed and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, type SecretServiceClient } from "@iotoperations/secret-service-client";

import { Cluster } from "./cluster";
import { Front } from "./front";
import { Vault } from "./vault";

const PATIENCE_MS = 60_000;
// What the machine has set must not decide a test.
const SET = /^(SECRET_SERVICE_|AZURE_|KUBE|RUST_LOG)/;

/** Where things are, as dev.json says. */
export interface Endpoints {
  readonly grpc: string;
  readonly vault_uri: string;
  readonly vault_ca: string;
  readonly vault_token_url: string;
  readonly vault_token_request: string;
  readonly vault_tenant_id: string;
  readonly vault_client_id: string;
  readonly vault_client_secret_file: string;
  readonly kubeconfig: string;
  readonly database: string;
  readonly namespace: string;
}

/** The binary that is tested. */
export function binary(): string {
  const named = process.env["SECRET_SERVICE_BINARY"];
  if (named === undefined) {
    throw new Error("SECRET_SERVICE_BINARY must say which service to test with");
  }
  return named;
}

/** The environment of a process of ours. */
export function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SET.test(name)));
}

/** The process; whatever it stored is found again after a restart. */
export class Dev {
  /** Any free port at first, the same ever after. */
  #address = "127.0.0.1:0";
  #process: ChildProcess | undefined;
  #endpoints: Endpoints | undefined;
  #front: Front | undefined;
  readonly directory = mkdtempSync(join(tmpdir(), "console-"));

  constructor(public options: readonly string[] = []) {}

  /** Starts one, and waits until it is ready. */
  static async start(...options: string[]): Promise<Dev> {
    const dev = new Dev(options);
    await dev.start();
    return dev;
  }

  /** Starts it, or starts it again, and waits until it is ready. */
  async start(): Promise<void> {
    const told = join(this.data, "dev.json");
    rmSync(told, { force: true });
    const log = openSync(join(this.directory, "log"), "a");
    const args = ["dev", `--listen=${this.#address}`, `--data-dir=${this.data}`, ...this.options];
    const started = spawn(binary(), args, { env: environment(), stdio: ["ignore", log, log] });
    this.#process = started;
    closeSync(log);
    const patience = Date.now() + PATIENCE_MS;
    while (!existsSync(told)) {
      if (started.exitCode !== null || Date.now() > patience) {
        throw new Error(this.log());
      }
      await sleep(20);
    }
    this.#endpoints = JSON.parse(readFileSync(told, "utf8")) as Endpoints;
    this.#address = this.#endpoints.grpc;
    this.#front ??= await Front.before(this.service);
  }

  /** Where its page is. */
  get url(): string {
    return this.#front?.url ?? this.service;
  }

  /** Where the service itself is. */
  get service(): string {
    return `http://${this.#address}`;
  }

  get data(): string {
    return join(this.directory, "data");
  }

  get endpoints(): Endpoints {
    if (this.#endpoints === undefined) {
      throw new Error("it has not started");
    }
    return this.#endpoints;
  }

  /** A program that calls the service, such as another tool or another person. */
  get client(): SecretServiceClient {
    return connect(this.service);
  }

  /** Its cluster, as the administrator. */
  get cluster(): Cluster {
    return Cluster.of(this.endpoints.kubeconfig, this.endpoints.namespace);
  }

  /** Its vault, as somebody who may read all values. */
  get vault(): Vault {
    return new Vault(this.endpoints);
  }

  /** Kill -9. */
  async kill(): Promise<void> {
    const killed = this.#process;
    this.#process = undefined;
    if (killed?.exitCode === null && killed.kill("SIGKILL")) {
      await once(killed, "exit");
    }
  }

  /** Kill -9, and nothing of it is left. */
  async remove(): Promise<void> {
    await this.kill();
    await this.#front?.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** What it wrote until now. */
  log(): string {
    return readFileSync(join(this.directory, "log"), "utf8");
  }
}
