/** The built package in a real browser: a page of an allowed origin calls and watches; one of another does not. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { freePort, Service } from "./service.js";

const HOME = fileURLToPath(new URL("..", import.meta.url));
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
// A browser that starts on a busy machine, and all of the page's calls.
const PATIENCE_MS = 90_000;
const skip = existsSync(CHROMIUM) ? false : `no ${CHROMIUM}: nothing was tried in a browser`;

// What bundlers find by package.json, pages find by this.
const IMPORTS = {
  "@iotoperations/secret-service-client": "/dist/index.js",
  "@bufbuild/protobuf": "/node_modules/@bufbuild/protobuf/dist/esm/index.js",
  "@bufbuild/protobuf/codegenv2": "/node_modules/@bufbuild/protobuf/dist/esm/codegenv2/index.js",
  "@bufbuild/protobuf/wire": "/node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  "@bufbuild/protobuf/wkt": "/node_modules/@bufbuild/protobuf/dist/esm/wkt/index.js",
  "@connectrpc/connect": "/node_modules/@connectrpc/connect/dist/esm/index.js",
  "@connectrpc/connect/protocol": "/node_modules/@connectrpc/connect/dist/esm/protocol/index.js",
  "@connectrpc/connect/protocol-connect": "/node_modules/@connectrpc/connect/dist/esm/protocol-connect/index.js",
  "@connectrpc/connect/protocol-grpc-web": "/node_modules/@connectrpc/connect/dist/esm/protocol-grpc-web/index.js",
  "@connectrpc/connect-web": "/node_modules/@connectrpc/connect-web/dist/esm/index.js",
};

/** Calls and watches, and tells the site what it saw. */
function page(service: string): string {
  return `<!doctype html><meta charset="utf-8"><title>The client in a page</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module">
import { connect, createNew, NotFoundError, SecretServiceError } from "@iotoperations/secret-service-client";
const seen = [];
try {
  const secrets = connect(${JSON.stringify(service)}, { timeoutMs: 30_000 });
  const made = await secrets.createSyncedSecret("page", [createNew("k", "vaultSecrets/page", "v")], { waitMs: 20_000 });
  seen.push(made.name);
  for await (const event of secrets.watch()) {
    seen.push(event.type);
    if (event.type === "bookmark") break;
  }
  await secrets.getSyncedSecret("syncedSecrets/nowhere").catch((error) => {
    seen.push(error instanceof NotFoundError ? error.reason : String(error), error.requestId?.length);
  });
} catch (error) {
  seen.push(error instanceof SecretServiceError ? error.name : String(error));
}
await fetch("/seen", { method: "POST", body: seen.join(" ") });
</script>`;
}

let site: Server;
let service: Service;
let port: number;
/** Takes what the page tells. */
let tell: (seen: string) => void;
before(async () => {
  if (skip !== false) {
    return;
  }
  port = await freePort();
  service = await Service.start(`--allowed-origin=http://127.0.0.1:${String(port)}`);
  site = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://site").pathname);
    // The packages are those of the workspace.
    const file = join(path.startsWith("/node_modules/") ? dirname(HOME) : HOME, path);
    if (path === "/") {
      response.setHeader("content-type", "text/html").end(page(service.url));
    } else if (path === "/seen") {
      response.end();
      void text(request).then(tell);
    } else if (/^\/(dist|node_modules)\//.test(path) && existsSync(file)) {
      response.setHeader("content-type", "text/javascript").end(readFileSync(file));
    } else {
      response.writeHead(404).end();
    }
  }).listen(port, "127.0.0.1");
  await once(site, "listening");
});
after(async () => {
  if (skip === false) {
    site.closeAllConnections();
    site.close();
    await service.remove();
  }
});

/** What a page of an origin saw. In real time: under Chromium's virtual one a call's deadline passes while its answer is on the way. */
async function visit(origin: string): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), "web-client-"));
  const told = new Promise<string>((resolve) => (tell = resolve));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"];
  const all = [...args, `--user-data-dir=${profile}`, `${origin}:${String(port)}/`];
  // A group of its own: its helpers go on writing into the profile when it alone has ended.
  const chromium = spawn(CHROMIUM, all, { stdio: "ignore", detached: true, timeout: PATIENCE_MS, killSignal: "SIGKILL" });
  const ended = once(chromium, "exit");
  try {
    return await Promise.race([told, ended.then(() => "Chromium ended and the page had told nothing")]);
  } finally {
    killGroup(chromium);
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Kills a process and all that it started; nothing where they have ended. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) {
      process.kill(-pid, "SIGKILL");
    }
  } catch {
    // There is no such group any more.
  }
}

test("a page that is allowed calls, watches and gets typed errors", { skip }, async () => {
  assert.equal(await visit("http://127.0.0.1"), "syncedSecrets/page added bookmark SYNCED_SECRET_NOT_FOUND 36");
});

test("a page that is not allowed gets a typed error, and nothing else", { skip }, async () => {
  assert.equal(await visit("http://localhost"), "ServiceUnreachableError");
});
