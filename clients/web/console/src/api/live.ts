/** All synced secrets, live: one watch for the whole page, which outlives connections and restarts of the service. */
import {
  SecretServiceError,
  UnauthenticatedError,
  type SecretServiceClient,
  type SyncedSecret,
  type Watch,
  type WatchEvent,
} from "@iotoperations/secret-service-client";

/** What the page knows of them. */
export interface LiveSnapshot {
  /**
   * `loading`: the initial state is not complete. `live`: it is, and changes arrive. `interrupted`: the connection broke, the
   * watch tries again, and what is shown is as of `heard`. `failed`: it ended, see `error`.
   */
  readonly status: "loading" | "live" | "interrupted" | "failed";
  /** Ordered by name. */
  readonly secrets: readonly SyncedSecret[];
  /** By name, `syncedSecrets/{id}`. */
  readonly byName: ReadonlyMap<string, SyncedSecret>;
  readonly error: SecretServiceError | undefined;
  /** When the service was last heard, in milliseconds since 1970. */
  readonly heard: number;
}

/** How often at most the page is told: many changes at once are one rendering. */
const PACE_MS = 100;
/** After how long to try again what a watch does not by itself. */
const PAUSE_MS = 3_000;

const NOTHING: LiveSnapshot = { status: "loading", secrets: [], byName: new Map(), error: undefined, heard: 0 };

/** The watch and what it told. */
export class LiveSecrets {
  #snapshot = NOTHING;
  #byName = new Map<string, SyncedSecret>();
  #status: LiveSnapshot["status"] = "loading";
  #error: SecretServiceError | undefined;
  #heard = 0;
  #watch: Watch | undefined;
  #resumeToken = "";
  #running = 0;
  #telling = false;
  readonly #listeners = new Set<() => void>();

  constructor(private readonly client: SecretServiceClient) {}

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** For `useSyncExternalStore`. */
  readonly snapshot = (): LiveSnapshot => this.#snapshot;

  /** Begins, or begins anew where it failed. */
  start(): void {
    this.stop();
    void this.#run(++this.#running);
  }

  /** Ends; what is known stays. */
  stop(): void {
    this.#running++;
    this.#watch?.close();
  }

  /** Goes on where it was for as long as it is not stopped: credentials may be renewed, a service that is away comes back. */
  async #run(turn: number): Promise<void> {
    while (turn === this.#running) {
      try {
        this.#watch = this.client.watch({ resumeToken: this.#resumeToken, onBroken: () => this.#interrupted() });
        for await (const event of this.#watch) {
          if (turn !== this.#running) {
            return;
          }
          this.#take(event);
        }
      } catch (error) {
        if (turn !== this.#running) {
          return;
        }
        this.#fail(error);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #take(event: WatchEvent): void {
    switch (event.type) {
      case "added":
      case "modified":
        this.#byName.set(event.syncedSecret.name, event.syncedSecret);
        break;
      case "deleted":
        this.#byName.delete(event.syncedSecret.name);
        break;
      case "restarted":
        this.#byName.clear();
        this.#status = "loading";
        break;
      case "bookmark":
        this.#status = "live";
        this.#error = undefined;
        break;
    }
    if ("resumeToken" in event && event.resumeToken !== "") {
      this.#resumeToken = event.resumeToken;
    }
    this.#heard = Date.now();
    if (this.#status === "interrupted") {
      this.#status = "live";
    }
    this.#tellSoon();
  }

  /** The stream broke; the watch tries again by itself. */
  #interrupted(): void {
    if (this.#status === "live") {
      this.#status = "interrupted";
      this.#tellSoon();
    }
  }

  #fail(thrown: unknown): void {
    this.#error = thrown instanceof SecretServiceError ? thrown : undefined;
    this.#status = this.#heard > 0 && !(thrown instanceof UnauthenticatedError) ? "interrupted" : "failed";
    this.#tellSoon();
  }

  #tellSoon(): void {
    if (this.#telling) {
      return;
    }
    this.#telling = true;
    setTimeout(() => {
      this.#telling = false;
      this.#snapshot = this.#taken();
      for (const listener of this.#listeners) {
        listener();
      }
    }, PACE_MS);
  }

  #taken(): LiveSnapshot {
    // Until the initial state is complete, what is known is no answer to "which are there".
    const byName = this.#status === "loading" ? this.#snapshot.byName : new Map(this.#byName);
    const secrets = [...byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
    return { status: this.#status, secrets, byName, error: this.#error, heard: this.#heard };
  }
}
