/** Who is signed in. Tokens live here, in memory alone: a reload forgets them. */

/** How somebody is signed in. */
export type SignIn =
  /** The service asks for no credentials, or takes the browser's certificate. */
  | { readonly kind: "none" }
  /** A token that was pasted. */
  | { readonly kind: "token"; readonly token: string }
  /** Tokens of an issuer, which `renew` renews as long as the issuer does. */
  | { readonly kind: "oidc"; readonly token: string; readonly expires: number; readonly renew?: () => Promise<SignIn> };

/** What the page shows of it. */
export interface SessionState {
  /** `ended`: the credentials no longer count, and the page waits for new ones with all that was typed in place. */
  readonly status: "signed-out" | "signed-in" | "ended";
  readonly kind: SignIn["kind"] | undefined;
  /** Whether the service has said who that is: only of them can the page know that they are the same who sign in again. */
  readonly isNamed: boolean;
  /** Counts the pages that were begun: whoever signs in over the ended session of somebody else begins another one. */
  readonly page: number;
}

/** How long before its end a token is renewed. */
const RENEWAL_MARGIN_MS = 60_000;
/** How long a renewal may take: every call of the page waits for it. */
export const RENEWAL_MS = 10_000;
/** For how long nothing is renewed after a renewal failed. */
const RENEWAL_PAUSE_MS = 30_000;

/** The issuer renews no more: to ask again is of no use. */
export class RenewalRefusedError extends Error {}

/** The session of this page. */
export class Session {
  #signIn: SignIn | undefined;
  /** Who that is to the service; undefined as long as it has not said. */
  #user: string | undefined;
  /** The renewal under way, and of what it is: never the token of somebody else who signed in meanwhile. */
  #renewal: { readonly of: SignIn; readonly renewed: Promise<SignIn> } | undefined;
  /** From when on the credentials may be renewed again, after a renewal of them failed. */
  readonly #pauses = new WeakMap<SignIn, number>();
  #state: SessionState = { status: "signed-out", kind: undefined, isNamed: false, page: 0 };
  readonly #listeners = new Set<() => void>();

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** For `useSyncExternalStore`. */
  readonly state = (): SessionState => this.#state;

  /**
   * Takes new credentials, and who the service takes them for. The page goes on only if that is known to be who was there before:
   * nobody shall see what another one may see, or send under their own name what another one typed.
   */
  signIn(signIn: SignIn, user?: string): void {
    const isSame = this.#state.status === "ended" && user !== undefined && user === this.#user;
    [this.#signIn, this.#user] = [signIn, user];
    this.#tell("signed-in", this.#state.page + (isSame ? 0 : 1));
  }

  /** The service said who these credentials stand for. */
  known(signIn: SignIn, user: string): void {
    if (signIn === this.#signIn) {
      this.#user = user;
    }
  }

  /** Forgets the credentials. */
  signOut(): void {
    [this.#signIn, this.#user] = [undefined, undefined];
    this.#tell("signed-out");
  }

  /** The service no longer takes these credentials: whoever is there must show new ones, and loses nothing of the page. */
  end(refused: SignIn): void {
    if (this.#state.status === "signed-in" && refused === this.#signIn) {
      this.#tell("ended");
    }
  }

  /** What the next call shows; renewed where it ends soon. Undefined where nobody is signed in. */
  readonly credentials = async (): Promise<SignIn | undefined> => {
    const current = this.#signIn;
    if (current?.kind !== "oidc" || current.renew === undefined || current.expires - Date.now() >= RENEWAL_MARGIN_MS) {
      return current;
    }
    const isPaused = Date.now() < (this.#pauses.get(current) ?? 0);
    return isPaused ? current : await this.#renewed(current, current.renew);
  };

  /** One renewal at a time, whoever asks. A renewal that fails leaves the token: the service decides whether it still counts. */
  async #renewed(current: SignIn, renew: () => Promise<SignIn>): Promise<SignIn> {
    if (this.#renewal?.of !== current) {
      this.#renewal = { of: current, renewed: inTime(renew()) };
    }
    const renewal = this.#renewal;
    try {
      const renewed = await renewal.renewed;
      if (this.#signIn === current) {
        this.#signIn = renewed;
        if (this.#state.status === "ended") {
          // The token before was refused meanwhile; this one is of the same person, and nobody has to sign in.
          this.#tell("signed-in");
        }
      }
      return renewed;
    } catch (error) {
      this.#pauses.set(current, error instanceof RenewalRefusedError ? Infinity : Date.now() + RENEWAL_PAUSE_MS);
      return current;
    } finally {
      if (this.#renewal === renewal) {
        this.#renewal = undefined;
      }
    }
  }

  #tell(status: SessionState["status"], page = this.#state.page): void {
    this.#state = { status, kind: this.#signIn?.kind, isNamed: this.#user !== undefined, page };
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** Fails where it takes too long. */
async function inTime(renewal: Promise<SignIn>): Promise<SignIn> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the issuer doesn't answer")), RENEWAL_MS);
  });
  try {
    return await Promise.race([renewal, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The token that stands for them; empty where it is something else that does. */
export function tokenOf(signIn: SignIn): string {
  return signIn.kind === "none" ? "" : signIn.token;
}
