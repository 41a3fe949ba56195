/** How to reach the service: the address, what protects the way there, and what can't go together. */
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import type { CallerOptions } from "./caller.js";
import { SecretServiceClient } from "./client.js";

/** How to connect. */
export interface ConnectOptions extends CallerOptions {
  /** Call over plain http although the service is on another machine. Never with a token. */
  insecure?: boolean | undefined;
  /** What sends requests, where the global `fetch` doesn't do: one with a client certificate, for example. */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * A client of the service at a base URL such as `https://secrets.example`. It calls over gRPC-Web by `fetch`, the same in
 * browsers and Node, and connects when it is first used.
 */
export function connect(baseUrl: string | URL, options: ConnectOptions = {}): SecretServiceClient {
  const url = new URL(baseUrl);
  const { insecure, fetch, ...rest } = options;
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new TypeError("the base URL begins with https:// or http://");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new TypeError("the base URL has a host and perhaps a path, and nothing else");
  }
  if (url.protocol === "http:" && rest.token !== undefined) {
    throw new TypeError("a token is sent over https only, because whoever sees it can use it");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname) && insecure !== true) {
    throw new TypeError("values would pass the network in the clear: use https, or say insecure");
  }
  const target = url.href.replace(/\/$/, "");
  const transport = createGrpcWebTransport({ baseUrl: target, ...(fetch && { fetch }) });
  return new SecretServiceClient(transport, { ...rest, target });
}

/** Whether what is sent there never leaves this machine. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
