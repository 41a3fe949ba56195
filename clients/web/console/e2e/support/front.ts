/**
 * A page that is not in the binary: E2E_PAGE names the directory where Vite built it. Its files are served with the headers that
 * the service gives its own page, and all else is passed on. For whoever works on the page and builds no Rust meanwhile.
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { once } from "node:events";
import { pipeline } from "node:stream";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const SECURITY = ["content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy"];

/** The server. */
export class Front {
  readonly #headers: OutgoingHttpHeaders = {};
  readonly #server: Server;

  private constructor(
    private readonly page: string,
    private readonly service: URL,
  ) {
    this.#server = createServer((asked, answer) => this.#answer(asked, answer));
  }

  /** One in front of a service, where E2E_PAGE asks for it. */
  static async before(service: string): Promise<Front | undefined> {
    const page = process.env["E2E_PAGE"];
    if (page === undefined || page === "") {
      return undefined;
    }
    const front = new Front(page, new URL(service));
    const own = await fetch(service);
    for (const name of SECURITY) {
      const value = own.headers.get(name);
      if (value !== null) {
        front.#headers[name] = value;
      }
    }
    front.#server.listen(0, "127.0.0.1");
    await once(front.#server, "listening");
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #answer(asked: IncomingMessage, answer: ServerResponse): void {
    const path = normalize(new URL(asked.url ?? "/", "http://page").pathname);
    if (path === "/console.json" || path.startsWith("/iotoperations.")) {
      this.#passOn(asked, answer);
      return;
    }
    const named = join(this.page, path);
    const file = existsSync(named) && statSync(named).isFile() ? named : join(this.page, "index.html");
    answer.writeHead(200, { ...this.#headers, "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(answer);
  }

  #passOn(asked: IncomingMessage, answer: ServerResponse): void {
    const { hostname, port, host } = this.service;
    const headers: OutgoingHttpHeaders = { ...asked.headers, host };
    delete headers.origin;
    const passed = request(
      { hostname, port, path: asked.url, method: asked.method, headers },
      (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.headers);
        // Where the service dies in the middle of an answer, so does the answer.
        pipeline(answered, answer, () => undefined);
      },
    );
    passed.on("error", () => answer.destroy());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  }
}
