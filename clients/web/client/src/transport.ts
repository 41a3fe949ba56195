/** The way of a client's calls as a transport, for libraries that take one. */
import { create, type DescMessage, type DescMethodStreaming, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, type Duration } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";

import type { Caller } from "./caller.js";
import { newId } from "./id.js";

/** What some requests of the contract have. */
interface Request {
  requestId?: string;
  wait?: Duration;
}

/**
 * Unary calls with all that the client's own have: its credentials, its retries, a request id, and errors by reason. What
 * streams is the client's: its watch outlives connections, and a stream of a transport can't.
 */
export class CallerTransport implements Transport {
  constructor(private readonly caller: Caller) {}

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    _header: HeadersInit | undefined,
    input: MessageInitShape<I>,
  ): Promise<UnaryResponse<I, O>> {
    const request = create(method.input, input);
    const known = request as Request;
    if (known.requestId === "") {
      // A call is tried again, and must be the same request then.
      known.requestId = newId();
    }
    const waitMs = known.wait === undefined ? 0 : durationMs(known.wait);
    const message = await this.caller.unary(method, request, { signal, timeoutMs }, waitMs);
    return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
  }

  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
  ): Promise<StreamResponse<I, O>> {
    const refused = new ConnectError(`${method.name} streams: use the client's watch`, Code.Unimplemented);
    return Promise.reject(refused);
  }
}
