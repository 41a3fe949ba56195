/** All synced secrets, live: one watch for the whole page, which outlives connections and restarts of the service. */
import {
  InvalidRequestError,
  UnauthenticatedError,
  type SecretServiceClient,
  type SecretServiceError,
  type SyncedSecret,
  type Watch,
  type WatchEvent,
} from "@iotoperations/secret-service-client";

/** What the page knows of them. */
export interface LiveSnapshot {
  /**
   * `loading`: the first state is not complete. `live`: it is, and changes arrive. `interrupted`: the connection broke, the
   * watch tries again, and what is shown is as of `heard`. `failed`: nothing could be read yet, or nothing may be; then there
   * is an `error`.
   */
  readonly status: "loading" | "live" | "interrupted" | "failed";
  /** Ordered by name; the same list for as long as nothing in it changed. */
  readonly secrets: readonly SyncedSecret[];
  /** By name, `syncedSecrets/{id}`. */
  readonly byName: ReadonlyMap<string, SyncedSecret>;
  readonly error: Error | undefined;
  /** When the service last confirmed what is shown, in milliseconds since 1970; 0 if never. */
  readonly heard: number;
}

/** How often at most the page is told: many changes at once are one rendering. */
const PACE_MS = 100;
/** How long to wait for what comes together with a change. */
const GATHER_MS = 16;
/** What is told to the page costs more, the more there are; each so many add another pace. */
const PACE_SIZE = 2_500;
/** For how long a broken stream is no news: most are back before anybody could read that they were gone. */
const GRACE_MS = 1_000;
/** How long to wait for the first word before the page says that there is none. */
const SILENCE_MS = 10_000;
/** After how long to try again what a watch does not by itself. */
const PAUSE_MS = 3_000;
/** For how long events are taken before the browser may do something else. */
const BREATH_MS = 8;

/** Nothing refuses the watch, and nothing comes of it either. */
class NothingHeardError extends Error {
  override readonly name = "NothingHeardError";

  constructor() {
    super(
      "Nothing was heard for 10 seconds, and nothing failed. A proxy on the way may hold back streams, or too many tabs of this " +
        "page may be open. The page goes on listening.",
    );
  }
}

type Secrets = ReadonlyMap<string, SyncedSecret>;
const NOTHING: LiveSnapshot = { status: "loading", secrets: [], byName: new Map(), error: undefined, heard: 0 };

/** The watch and what it told. */
export class LiveSecrets {
  #snapshot = NOTHING;
  /** The last state that was complete, and every change since. */
  #known = new Map<string, SyncedSecret>();
  /** A state that is on its way: until it is complete, it is no answer to "which are there". */
  #arriving: Map<string, SyncedSecret> | undefined;
  #changed = false;
  #status: LiveSnapshot["status"] = "loading";
  #error: Error | undefined;
  #heard = 0;
  #watch: Watch | undefined;
  #resumeToken = "";
  #running = 0;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #told = -Infinity;
  #grace: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(private readonly client: Pick<SecretServiceClient, "watch">) {}

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
    // What was known before a pause is old until the service has confirmed it.
    this.#broken(this.#running, undefined);
    this.#listen();
  }

  /** Ends; what is known stays. */
  stop(): void {
    this.#running++;
    this.#watch?.close();
    clearTimeout(this.#grace);
    this.#grace = undefined;
    clearTimeout(this.#silence);
  }

  /** Goes on where it was for as long as it is not stopped: credentials may be renewed, a service that is away comes back. */
  async #run(turn: number): Promise<void> {
    while (turn === this.#running) {
      try {
        await this.#follow(turn);
      } catch (error) {
        if (turn !== this.#running) {
          return;
        }
        if (error instanceof InvalidRequestError && this.#resumeToken !== "") {
          // A token of a database that is no more: all is read anew.
          this.#resumeToken = "";
          continue;
        }
        this.#fail(error);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Takes the events of one watch, in portions: ten thousand of them must not hold up the page. */
  async #follow(turn: number): Promise<void> {
    if (this.#resumeToken === "") {
      this.#arriving = new Map();
    }
    this.#watch = this.client.watch({ resumeToken: this.#resumeToken, onBroken: (error) => this.#broken(turn, error) });
    let since = performance.now();
    for await (const event of this.#watch) {
      if (turn !== this.#running) {
        return;
      }
      this.#take(event);
      if (performance.now() - since > BREATH_MS) {
        await breath();
        since = performance.now();
      }
    }
  }

  #take(event: WatchEvent): void {
    const secrets = this.#arriving ?? this.#known;
    switch (event.type) {
      case "added":
      case "modified":
        secrets.set(event.syncedSecret.name, event.syncedSecret);
        this.#changed = true;
        break;
      case "deleted":
        secrets.delete(event.syncedSecret.name);
        this.#changed = true;
        break;
      case "restarted":
        this.#arriving = new Map();
        this.#resumeToken = "";
        break;
      case "bookmark":
        this.#complete();
        break;
    }
    if ("resumeToken" in event && event.resumeToken !== "") {
      this.#resumeToken = event.resumeToken;
    }
    if (this.#arriving === undefined) {
      this.#confirm();
    } else {
      this.#listen();
    }
  }

  /** Waits for the next word of the first state: a stream that is held back must not look like one that is about to come. */
  #listen(): void {
    clearTimeout(this.#silence);
    if (this.#heard > 0) {
      return;
    }
    this.#silence = setTimeout(() => {
      if (this.#status === "loading") {
        this.#status = "failed";
        this.#error = new NothingHeardError();
        this.#tellSoon();
      }
    }, SILENCE_MS);
  }

  #complete(): void {
    if (this.#arriving !== undefined) {
      this.#known = this.#arriving;
      this.#arriving = undefined;
      this.#changed = true;
    }
  }

  /** The service was heard, and what is known is what it has. */
  #confirm(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#status = "live";
    this.#error = undefined;
    this.#heard = Date.now();
    this.#tellSoon();
  }

  /** The stream broke; the watch tries again by itself. */
  #broken(turn: number, error: SecretServiceError | undefined): void {
    if (turn !== this.#running || this.#grace !== undefined || this.#status === "interrupted") {
      return;
    }
    this.#grace = setTimeout(() => {
      this.#grace = undefined;
      if (this.#heard > 0) {
        this.#status = "interrupted";
      } else if (error !== undefined) {
        this.#status = "failed";
        this.#error = error;
      }
      this.#tellSoon();
    }, GRACE_MS);
  }

  #fail(thrown: unknown): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.#status = this.#heard > 0 && !(thrown instanceof UnauthenticatedError) ? "interrupted" : "failed";
    this.#tellSoon();
  }

  #tellSoon(): void {
    if (this.#telling !== undefined) {
      return;
    }
    const pace = PACE_MS * (1 + Math.floor(this.#known.size / PACE_SIZE));
    const wait = Math.max(GATHER_MS, this.#told + pace - performance.now());
    this.#telling = setTimeout(() => {
      this.#telling = undefined;
      this.#told = performance.now();
      this.#snapshot = this.#taken();
      for (const listener of this.#listeners) {
        listener();
      }
    }, wait);
  }

  #taken(): LiveSnapshot {
    const { secrets, byName } = this.#changed ? ordered(this.#known) : this.#snapshot;
    this.#changed = false;
    return { status: this.#status, secrets, byName, error: this.#error, heard: this.#heard };
  }
}

/** A copy by name, and as a list in the order of names. */
function ordered(known: Secrets): Pick<LiveSnapshot, "secrets" | "byName"> {
  const secrets = [...known.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  return { secrets, byName: new Map(known) };
}

/** Lets the browser do what waits: draw, answer keys. */
function breath(): Promise<void> {
  const { scheduler } = globalThis as { readonly scheduler?: { readonly yield?: () => Promise<void> } };
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0));
}
