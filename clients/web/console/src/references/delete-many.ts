/** Deletes several, a few at a time, and follows each until it is gone. */
import {
  Code,
  conditionOf,
  newId,
  NotFoundError,
  SecretServiceError,
  State,
  type SecretServiceClient,
  type SyncedSecret,
} from "@iotoperations/secret-service-client";

import { isNobodyThere, isOutcomeUnknown } from "../api/change";
import { againOf, isRunning, toldOf, type Progress, type Steps, type Told } from "./deletion-steps";

/** How many calls are under way at the same time. */
export const AT_ONCE = 4;
/** How long a call may wait for the edge before the page looks by itself. */
const WAIT_MS = 5_000;
const PAUSE_MS = 1_000;
/** A service that does not answer is not helped by being asked every second. */
const LONG_PAUSE_MS = 5_000;

type Client = Pick<SecretServiceClient, "deleteSyncedSecret" | "getSyncedSecret">;

interface Hearers {
  /** Told what became of it once nobody looks. */
  readonly tell: (told: Told) => void;
  /** Told when all were asked for, and when there is nothing left to follow. */
  readonly onQuiet: () => void;
}

/** Deletions, each at a step of its own. */
export class DeleteMany {
  #steps: Steps = new Map();
  readonly #secrets = new Map<string, SyncedSecret>();
  /** The same request again is the same deletion, so that a retry deletes nothing that came since. */
  readonly #requestIds = new Map<string, string>();
  #left: SyncedSecret[] = [];
  #force = false;
  #isAttended = false;
  #isFollowing = false;
  /** Looks at these are refused for good. */
  readonly #blind = new Set<string>();
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly client: Client,
    private readonly hearers: Hearers,
  ) {}

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** For `useSyncExternalStore`. */
  readonly steps = (): Steps => this.#steps;

  /** Somebody looks, until what it gives is called: then nothing more is begun, and what became of it is told. */
  readonly attend = (): (() => void) => {
    this.#isAttended = true;
    return () => {
      this.#isAttended = false;
      const wasSeen = !isRunning(this.#steps);
      this.stop();
      if (wasSeen) {
        this.#tell(true);
      }
    };
  };

  /** Asks for these; with `force` also where something uses them. */
  readonly start = (secrets: readonly SyncedSecret[], { force = false }: { force?: boolean } = {}): void => {
    this.#force = force;
    void this.#run(secrets);
  };

  /** Asks once more for what the service has not accepted, as before. */
  readonly again = (): void => {
    const names = againOf(this.#steps);
    void this.#run([...this.#secrets.values()].filter(({ name }) => names.includes(name)));
  };

  /** Begins nothing more. What was asked for goes on. */
  readonly stop = (): void => {
    const left = this.#left.splice(0);
    this.#set(left.map(({ name }) => [name, { step: "stopped" }]));
  };

  /** Forgets all: it is to be asked for otherwise. */
  readonly reset = (): void => {
    this.#steps = new Map();
    this.#secrets.clear();
    this.#changed();
  };

  async #run(secrets: readonly SyncedSecret[]): Promise<void> {
    this.#left = [...secrets];
    this.#set(secrets.map(({ name }) => [name, { step: "waiting" }]));
    for (const secret of secrets) {
      this.#secrets.set(secret.name, secret);
      this.#blind.delete(secret.name);
    }
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work()));
    if (!this.#isAttended) {
      this.#tell(false);
    }
    this.hearers.onQuiet();
  }

  async #work(): Promise<void> {
    for (let next = this.#left.shift(); next !== undefined; next = this.#left.shift()) {
      this.#set([[next.name, { step: "asked" }]]);
      const progress = await this.#ask(next);
      this.#set([[next.name, progress]]);
      if ("error" in progress && isNobodyThere(progress.error)) {
        // The others would only become unknown, too.
        this.stop();
      }
      void this.#follow();
    }
  }

  async #ask(secret: SyncedSecret): Promise<Progress> {
    const force = this.#force;
    const key = `${secret.name} ${secret.etag} ${String(force)}`;
    const requestId = this.#requestIds.get(key) ?? newId();
    this.#requestIds.set(key, requestId);
    try {
      const accepted = await this.client.deleteSyncedSecret(secret, { force, requestId, waitMs: WAIT_MS });
      return { step: "leaving", held: heldBy(accepted) };
    } catch (error) {
      if (error instanceof NotFoundError) {
        return { step: "gone" };
      }
      // What is no answer of the service says nothing about what it does.
      const isAnswer = error instanceof SecretServiceError && !isOutcomeUnknown(error);
      return { step: isAnswer ? "refused" : "unknown", error };
    }
  }

  /** Looks at what is leaving, or may be, for as long as somebody looks at this. */
  async #follow(): Promise<void> {
    if (this.#isFollowing) {
      return;
    }
    this.#isFollowing = true;
    for (let open = this.#open(); open.length > 0; open = this.#open()) {
      let areSeen = true;
      const work = async (): Promise<void> => {
        for (let next = open.shift(); next !== undefined && this.#isAttended; next = open.shift()) {
          areSeen = (await this.#look(next)) && areSeen;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (this.#open().length > 0) {
        await new Promise((resolve) => setTimeout(resolve, areSeen ? PAUSE_MS : LONG_PAUSE_MS));
      }
    }
    this.#isFollowing = false;
    this.hearers.onQuiet();
  }

  #open(): SyncedSecret[] {
    const isOpen = ({ name }: SyncedSecret): boolean => {
      const step = this.#steps.get(name)?.step;
      return (step === "leaving" || step === "unknown") && !this.#blind.has(name);
    };
    return this.#isAttended ? [...this.#secrets.values()].filter(isOpen) : [];
  }

  /** Whether a look at it was answered. */
  async #look(secret: SyncedSecret): Promise<boolean> {
    const { name } = secret;
    const before = this.#steps.get(name);
    const seen = await this.client.getSyncedSecret(name, { usages: false }).catch((error: unknown) => error);
    // It was asked for once more meanwhile.
    if (before !== undefined && this.#steps.get(name) === before) {
      this.#set([[name, after(before, secret, seen)]]);
    }
    if (isRefusedForGood(seen)) {
      this.#blind.add(name);
    }
    return !(seen instanceof Error) || seen instanceof NotFoundError;
  }

  #tell(wasSeen: boolean): void {
    const told = toldOf(this.#steps, wasSeen);
    if (told !== undefined) {
      this.hearers.tell(told);
    }
  }

  #set(changed: Iterable<readonly [string, Progress]>): void {
    this.#steps = new Map([...this.#steps, ...changed]);
    this.#changed();
  }

  #changed(): void {
    this.#listeners.forEach((listener) => listener());
  }
}

/** What a look changes: the secret that was found, or what was thrown. */
function after(before: Progress, asked: SyncedSecret, seen: unknown): Progress {
  if (seen instanceof NotFoundError) {
    return { step: "gone" };
  }
  if (!isSecret(seen)) {
    return before.step === "leaving" ? { ...before, unseen: seen } : before;
  }
  if (seen.uid !== asked.uid) {
    return { step: "gone" };
  }
  // Whether the service still is at a request whose answer was lost, its state does not say.
  return before.step === "unknown" && seen.state !== State.DELETING ? { ...before, isThere: true } : { step: "leaving", held: heldBy(seen) };
}

function isSecret(seen: unknown): seen is SyncedSecret {
  return typeof seen === "object" && seen !== null && !(seen instanceof Error) && "uid" in seen;
}

function heldBy(secret: SyncedSecret): string {
  return secret.state === State.DELETING ? (conditionOf(secret, "Synced")?.message ?? "") : "";
}

const FOR_GOOD: ReadonlySet<Code> = new Set([Code.PermissionDenied, Code.Unimplemented, Code.InvalidArgument]);

/** Whether asking again can't help for as long as a dialog is open. */
function isRefusedForGood(seen: unknown): boolean {
  return seen instanceof SecretServiceError && FOR_GOOD.has(seen.code);
}
