/** A server of the contract that answers as it is told, and remembers what it was asked. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";

import { create, type Message } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  SecretService,
  SyncedSecretSchema,
  WatchSyncedSecretsResponse_Type,
  WatchSyncedSecretsResponseSchema,
  type SyncedSecret,
  type WatchSyncedSecretsResponse,
} from "@iotoperations/secret-service-client/v1";

import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../dist/gen/google/rpc/error_details_pb.js";

/** What may go with an error. */
export interface Details {
  fields?: string[];
  users?: string[];
  retryAfterMs?: number;
  message?: string;
  domain?: string;
}

/** An error as the service sends it. */
export function refusal(code: Code, reason: string, details: Details = {}): ConnectError {
  const { fields, users, retryAfterMs, message = "It is so. Do something.", domain } = details;
  const violations = users?.map((subject) => ({ type: "IN_USE", subject, description: "spec.x" }));
  const fieldViolations = fields?.map((field) => ({ field, description: "No." }));
  return new ConnectError(message, code, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain: domain ?? "secret-service.iotoperations" } },
    { desc: ResourceInfoSchema, value: { resourceName: "syncedSecrets/a" } },
    ...(retryAfterMs === undefined
      ? []
      : [{ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryAfterMs) } }]),
    ...(fieldViolations ? [{ desc: BadRequestSchema, value: { fieldViolations } }] : []),
    ...(violations ? [{ desc: PreconditionFailureSchema, value: { violations } }] : []),
  ]);
}

/** What a watcher is sent. */
export function event(type: keyof typeof WatchSyncedSecretsResponse_Type, id = "", resumeToken = ""): Message {
  return create(WatchSyncedSecretsResponseSchema, {
    type: WatchSyncedSecretsResponse_Type[type],
    resumeToken,
    ...(id === "" ? {} : { syncedSecret: secret(id) }),
  });
}

/** A synced secret. */
export function secret(id: string, more: Partial<SyncedSecret> = {}): SyncedSecret {
  return Object.assign(create(SyncedSecretSchema, { name: `syncedSecrets/${id}` }), more);
}

/** An answer: a message or an error; of a watch a list of them, at whose end it stays open where `SILENCE` stands. */
export type Answer = Message | ConnectError | readonly (Message | ConnectError | typeof SILENCE)[];
export const SILENCE = "silence";

/** Give it answers in order; the last one stays. */
export class Fake {
  readonly asked: Message[] = [];
  readonly headers: Headers[] = [];
  answers: Answer[] = [];
  url = "";
  /** Called when a stream that stayed open is ended by its caller. */
  onEnd: (value?: unknown) => void = () => undefined;
  readonly #server: Server;

  private constructor() {
    const handlers = Object.fromEntries(
      SecretService.methods.map(({ localName, methodKind }) => [
        localName,
        methodKind === "unary"
          ? (request: Message, context: HandlerContext) => this.#next(request, context)
          : (request: Message, context: HandlerContext) => this.#stream(request, context),
      ]),
    ) as unknown as ServiceImpl<typeof SecretService>;
    const adapter = connectNodeAdapter({ routes: (router) => router.service(SecretService, handlers) });
    this.#server = createServer(adapter);
  }

  static async start(...answers: Answer[]): Promise<Fake> {
    const fake = new Fake();
    fake.answers = answers;
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    const address = fake.#server.address();
    fake.url = `http://127.0.0.1:${String(typeof address === "object" ? address?.port : address)}`;
    return fake;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #next(request: Message, context: HandlerContext): Answer {
    this.asked.push(request);
    this.headers.push(context.requestHeader);
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    if (answer === undefined || answer instanceof ConnectError) {
      throw answer ?? new ConnectError("no answer", Code.Internal);
    }
    return answer;
  }

  async *#stream(request: Message, context: HandlerContext): AsyncGenerator<WatchSyncedSecretsResponse> {
    for (const item of this.#next(request, context) as readonly (Message | ConnectError | typeof SILENCE)[]) {
      if (item instanceof ConnectError) {
        throw item;
      }
      if (item === SILENCE) {
        await once(context.signal, "abort");
        this.onEnd();
      } else {
        yield item as WatchSyncedSecretsResponse;
      }
    }
  }
}
