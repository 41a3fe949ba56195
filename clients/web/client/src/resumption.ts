/** What a watch decides when something comes or its stream breaks; knows no stream itself. */
import type { MessageInitShape } from "@bufbuild/protobuf";

import {
  InvalidRequestError,
  OutOfRangeError,
  ResourceExhaustedError,
  UnavailableError,
  type SecretServiceError,
} from "./errors.js";
import {
  WatchSyncedSecretsResponse_Type as Type,
  type SyncedSecret,
  type WatchSyncedSecretsRequestSchema,
  type WatchSyncedSecretsResponse,
} from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
import { filterOf, type Filter } from "./input.js";
import { spread } from "./pause.js";

/** What a watcher is told. */
export type WatchEvent =
  /** `added`: it is there, from the beginning or since now. `modified`: it is now like this. `deleted`: it is gone, or out of the filter's range; shown as it was last seen. */
  | {
      readonly type: "added" | "modified" | "deleted";
      readonly syncedSecret: SyncedSecret;
      readonly resumeToken: string;
    }
  /** Nothing is left to tell right now. The first one says that the initial state is complete, later ones that the watch is alive. */
  | { readonly type: "bookmark"; readonly resumeToken: string }
  /** The service couldn't go on from where the watch was. Forget what you know: the whole state follows as `added`, up to the next `bookmark`. */
  | { readonly type: "restarted" };

const CHANGES: Partial<Record<Type, "added" | "modified" | "deleted">> = {
  [Type.ADDED]: "added",
  [Type.MODIFIED]: "modified",
  [Type.DELETED]: "deleted",
};
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Where a watch is, and how it goes on. */
export class Resumption {
  #token: string;
  #tokenIsOurs = false;
  /** Whether this watch has ever heard from the service. */
  #connected = false;
  /** Whether the caller knows anything that a new beginning would make wrong. */
  #told = false;
  #restarted = false;
  #failures = 0;

  constructor(
    private readonly filter: Filter,
    resumeToken: string,
  ) {
    this.#token = resumeToken;
  }

  /** From where another watch would go on; empty while the initial state is not complete. */
  get resumeToken(): string {
    return this.#token;
  }

  /** What to ask for now. */
  request(): MessageInitShape<typeof WatchSyncedSecretsRequestSchema> {
    if (this.#token === "" && this.#told) {
      this.#beginAnew();
    }
    return { filter: filterOf(this.filter), resumeToken: this.#token };
  }

  /** What the caller must hear before anything else, once. */
  restarted(): boolean {
    const restarted = this.#restarted;
    this.#restarted = false;
    return restarted;
  }

  /** The event of a response; nothing for a kind that this release doesn't know. */
  received(response: WatchSyncedSecretsResponse): WatchEvent | undefined {
    const { resumeToken, syncedSecret } = response;
    this.#connected = true;
    this.#failures = 0;
    if (resumeToken !== "") {
      this.#token = resumeToken;
      this.#tokenIsOurs = true;
    }
    if (response.type === Type.BOOKMARK) {
      return { type: "bookmark", resumeToken };
    }
    const type = CHANGES[response.type];
    if (type === undefined || syncedSecret === undefined) {
      return undefined;
    }
    this.#told = true;
    return { type, syncedSecret, resumeToken };
  }

  /** Milliseconds until the next attempt after the stream ended; throws what no attempt mends. */
  broken(error: SecretServiceError | undefined): number {
    if (error !== undefined && this.#isLost(error)) {
      this.#beginAnew();
      return 0;
    }
    if (error !== undefined && !(this.#connected && isPassing(error))) {
      throw error;
    }
    this.#failures++;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures, 10));
    return Math.max(Math.min(error?.retryAfterMs ?? 0, LONGEST_PAUSE_MS), spread(pause));
  }

  #beginAnew(): void {
    this.#token = "";
    this.#tokenIsOurs = false;
    this.#told = false;
    this.#restarted = true;
  }

  /** Whether the service can't go on from our token: too old, or of a database that is no more. */
  #isLost(error: SecretServiceError): boolean {
    if (this.#token === "") {
      return false;
    }
    const refused =
      error instanceof InvalidRequestError &&
      error.fieldViolations.some((violation) => violation.field === "resume_token");
    return error instanceof OutOfRangeError || (refused && this.#tokenIsOurs);
  }
}

function isPassing(error: SecretServiceError): boolean {
  return error instanceof UnavailableError || error instanceof ResourceExhaustedError;
}
