/** A watch that outlives the connection: it reconnects, resumes from its token, and misses nothing. */
import { Code } from "@connectrpc/connect";

import type { Caller } from "./caller.js";
import { DeadlineExceededError, type SecretServiceError } from "./errors.js";
import { SecretService, type WatchSyncedSecretsResponse } from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
import { newId } from "./id.js";
import { pause } from "./pause.js";
import type { Resumption, WatchEvent } from "./resumption.js";

/** How a watch ends. */
export interface WatchOptions {
  /** Milliseconds after which it ends with a {@link DeadlineExceededError}; never where left out. */
  timeoutMs?: number | undefined;
  /** Ends it; whoever waits for an event then gets the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds of silence after which the connection counts as broken: 75,000. The service says something every 30 s. */
  silenceMs?: number | undefined;
  /** Told whenever the stream broke, before the watch tries again; with the error where there was one. */
  onBroken?: ((error: SecretServiceError | undefined) => void) | undefined;
}

const SILENCE_MS = 75_000;

/**
 * The events of a watch, for `for await`. It ends when it is closed, when the loop is left, when its signal is aborted,
 * or with what no reconnecting mends.
 */
export class Watch implements AsyncIterableIterator<WatchEvent, void, undefined> {
  readonly #requestId = newId();
  readonly #closing = new AbortController();
  readonly #events: AsyncGenerator<WatchEvent, void, undefined>;
  readonly #ends: number;

  constructor(
    private readonly caller: Caller,
    private readonly resumption: Resumption,
    private readonly options: WatchOptions,
  ) {
    this.#ends = Date.now() + (options.timeoutMs ?? Infinity);
    this.#events = this.#run();
  }

  /** Give it to a later watch, of this program or the next, to go on after the last event that has one. */
  get resumeToken(): string {
    return this.resumption.resumeToken;
  }

  next(): Promise<IteratorResult<WatchEvent, void>> {
    return this.#events.next();
  }

  /** Called where a loop is left. */
  async return(): Promise<IteratorResult<WatchEvent, void>> {
    this.close();
    return this.#events.return();
  }

  /** Ends it, also while someone waits for the next event. */
  close(): void {
    this.#closing.abort();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async *#run(): AsyncGenerator<WatchEvent, void, undefined> {
    const { signal } = this.options;
    const ended = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    while (!this.#isClosed()) {
      let failure: SecretServiceError | undefined;
      try {
        yield* this.#stream(ended);
      } catch (thrown) {
        failure = this.caller.translate(thrown, this.#requestId);
      }
      if (this.#isClosed()) {
        return;
      }
      signal?.throwIfAborted();
      if (failure instanceof DeadlineExceededError && this.#ends !== Infinity) {
        throw failure;
      }
      const wait = this.resumption.broken(failure);
      this.options.onBroken?.(failure);
      // A close in the pause ends the loop, an abort ends it with its reason.
      await pause(wait, ended).catch(() => signal?.throwIfAborted());
    }
  }

  /** The events of one stream, until it ends or breaks. */
  async *#stream(ended: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    ended.throwIfAborted();
    const left = this.#ends - Date.now();
    if (left <= 0) {
      throw new DeadlineExceededError({ message: "The timeout of the watch passed.", code: Code.DeadlineExceeded });
    }
    const request = this.resumption.request();
    if (this.resumption.restarted()) {
      yield { type: "restarted" };
    }
    const silence = new AbortController();
    const broken = AbortSignal.any([ended, silence.signal]);
    const timeoutMs = left === Infinity ? undefined : left;
    const answers = this.caller.stream(
      SecretService.method.watchSyncedSecrets,
      request,
      this.#requestId,
      timeoutMs,
      broken,
    );
    try {
      for (;;) {
        const answer = await this.#nextOf(answers, silence);
        if (answer.done) {
          return;
        }
        const event = this.resumption.received(answer.value);
        if (event !== undefined) {
          yield event;
        }
      }
    } finally {
      // Also where the loop over the events is left: the service hears of it.
      silence.abort();
      await answers.return();
    }
  }

  /** The next answer, or the end of the stream where none comes for too long: a peer may vanish without a word. */
  async #nextOf(
    answers: AsyncGenerator<WatchSyncedSecretsResponse, void, undefined>,
    silence: AbortController,
  ): Promise<IteratorResult<WatchSyncedSecretsResponse, void>> {
    const timer = setTimeout(() => {
      silence.abort();
    }, this.options.silenceMs ?? SILENCE_MS);
    try {
      return await answers.next();
    } finally {
      clearTimeout(timer);
    }
  }
}
