/** The way of every call: its deadline, its credentials, its name in the log, and when it is tried again. */
import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { Code, type Transport } from "@connectrpc/connect";

import { SecretServiceError, UnavailableError } from "./errors.js";
import { newId } from "./id.js";
import { pause, spread } from "./pause.js";
import { REQUEST_ID, translate } from "./translate.js";

/** What every call takes. */
export interface CallOptions {
  /** Milliseconds that the call may take, all its attempts together. */
  timeoutMs?: number | undefined;
  /** Ends the call; it then fails with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A call that has ended, for logs and metrics. */
export interface CallInfo {
  readonly method: string;
  /** The `x-request-id` under which the call stands in the service's log. */
  readonly requestId: string;
  /** Why it failed; absent where it did not. */
  readonly code?: Code;
  readonly durationMs: number;
}

/** What holds for all calls of a client. */
export interface CallerOptions {
  /** Milliseconds that a call may take where it doesn't say: 30,000. */
  timeoutMs?: number | undefined;
  /** A Kubernetes service-account token, or what gives it: asked for every call, so that a renewed one counts at once. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Told every call that has ended. */
  onCall?: ((call: CallInfo) => void) | undefined;
}

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;
/** What the service wants to be left alone for longer than this is for the caller to decide. */
const LONGEST_PAUSE_MS = 2_000;

export class Caller {
  constructor(
    private readonly transport: Transport,
    private readonly target: string,
    private readonly options: CallerOptions,
  ) {}

  /** Calls; and calls again, as the same request, what may work in a moment. `waitMs` is added to the time it has. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    init: MessageInitShape<I>,
    { timeoutMs, signal }: CallOptions,
    waitMs = 0,
  ): Promise<MessageShape<O>> {
    const ends = Date.now() + (timeoutMs ?? (this.options.timeoutMs ?? TIMEOUT_MS) + waitMs);
    const request = create(method.input, init);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attempt(method, request, Math.max(1, ends - Date.now()), signal);
      } catch (error) {
        const wait = again(error, attempt);
        if (wait === undefined || Date.now() + wait >= ends) {
          throw error;
        }
        await pause(wait, signal);
      }
    }
  }

  /** Opens a stream; abort the signal before leaving it early. Its errors are for {@link Caller.translate}. */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    init: MessageInitShape<I>,
    requestId: string,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const headers = await this.headers(requestId);
    const once = (async function* () {
      yield await Promise.resolve(create(method.input, init));
    })();
    const answer = await this.transport.stream(method, signal, timeoutMs, headers, once);
    const messages = answer.message[Symbol.asyncIterator]();
    try {
      for (let next = await messages.next(); !next.done; next = await messages.next()) {
        yield next.value;
      }
    } finally {
      // The library lets go of its deadline only when it sees the end.
      await drain(messages);
    }
  }

  /** What a caller gets to see of what was thrown. */
  translate(thrown: unknown, requestId: string): SecretServiceError {
    return translate(thrown, requestId, this.target);
  }

  private async attempt<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<MessageShape<O>> {
    const requestId = newId();
    const began = performance.now();
    let code: Code | undefined;
    try {
      signal?.throwIfAborted();
      const headers = await this.headers(requestId);
      const init = request as MessageInitShape<I>;
      return (await this.transport.unary(method, signal, timeoutMs, headers, init)).message;
    } catch (thrown) {
      if (signal?.aborted) {
        code = Code.Canceled;
        throw signal.reason;
      }
      const error = this.translate(thrown, requestId);
      code = error.code;
      throw error;
    } finally {
      const durationMs = performance.now() - began;
      this.options.onCall?.({ method: method.name, requestId, durationMs, ...(code && { code }) });
    }
  }

  private async headers(requestId: string): Promise<Headers> {
    const headers = new Headers({ [REQUEST_ID]: requestId });
    const { token } = this.options;
    if (token !== undefined) {
      headers.set("authorization", `Bearer ${await tokenOf(token, requestId)}`);
    }
    return headers;
  }
}

async function drain(messages: AsyncIterator<unknown>): Promise<void> {
  try {
    while (!(await messages.next()).done);
  } catch {
    // It ended, and nobody waits for it any more.
  }
}

async function tokenOf(token: string | (() => string | Promise<string>), requestId: string): Promise<string> {
  if (typeof token === "string") {
    return token;
  }
  try {
    return await token();
  } catch {
    // Whatever it threw may hold a token: the caller's own function knows more.
    throw new UnavailableError({
      message: "The token could not be had, so the service was not called. Look at what gives the client its token.",
      code: Code.Unavailable,
      reason: "TOKEN_UNAVAILABLE",
      requestId,
    });
  }
}

/** After how many milliseconds to try again; undefined where trying again doesn't help. */
function again(error: unknown, attempt: number): number | undefined {
  if (!(error instanceof SecretServiceError)) {
    return undefined;
  }
  if (error.reason === "REQUEST_IN_PROGRESS") {
    // An earlier attempt of the same request is still being carried out: its answer is what we wait for.
    return error.retryAfterMs ?? 1_000;
  }
  const asked = error.retryAfterMs ?? 0;
  if (!(error instanceof UnavailableError) || attempt >= ATTEMPTS || asked > LONGEST_PAUSE_MS) {
    return undefined;
  }
  return Math.max(asked, spread(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1))));
}
