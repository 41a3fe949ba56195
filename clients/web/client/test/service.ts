/** A real `secret-service dev` on a directory and a port of its own, to be asked, killed and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 30_000;
// What the machine has set must not decide a test.
const SET = /^(SECRET_SERVICE_|AZURE_|KUBE|RUST_LOG)/;

/** A port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") {
    throw new Error("no port");
  }
  return address.port;
}

/** The process; whatever it stored is found again after a restart. */
export class Service {
  /** Any free port at first, the same ever after. */
  #address = "127.0.0.1:0";
  #process: ChildProcess | undefined;
  readonly #directory = mkdtempSync(join(tmpdir(), "web-client-"));

  /** Starts one. */
  static async start(...options: string[]): Promise<Service> {
    const service = new Service();
    await service.start(...options);
    return service;
  }

  /** Starts it again, and waits until it is ready. */
  async start(...options: string[]): Promise<void> {
    const binary = process.env["SECRET_SERVICE_BINARY"];
    if (binary === undefined) {
      throw new Error("SECRET_SERVICE_BINARY must say which service to test with");
    }
    const data = join(this.#directory, "data");
    const told = join(data, "dev.json");
    rmSync(told, { force: true });
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !SET.test(name)));
    const log = openSync(join(this.#directory, "log"), "a");
    const args = ["dev", `--listen=${this.#address}`, `--data-dir=${data}`, ...options];
    const started = spawn(binary, args, { env, stdio: ["ignore", log, log] });
    this.#process = started;
    closeSync(log);
    const patience = Date.now() + PATIENCE_MS;
    while (!existsSync(told)) {
      if (started.exitCode !== null || Date.now() > patience) {
        throw new Error(this.log());
      }
      await sleep(20);
    }
    this.#address = (JSON.parse(readFileSync(told, "utf8")) as { grpc: string }).grpc;
  }

  get url(): string {
    return `http://${this.#address}`;
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
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** What it wrote until now. */
  log(): string {
    return readFileSync(join(this.#directory, "log"), "utf8");
  }
}
