/** Pages on which nothing may go wrong unseen: a violation of the policy, an error in the console, an error nobody caught. */
import { expect, type BrowserContext, type Page } from "@playwright/test";

/** What a killed service leaves in the console of a browser: nobody can keep that out. */
export const UNREACHABLE = /net::ERR_(CONNECTION_|EMPTY_RESPONSE|INCOMPLETE_CHUNKED|SOCKET_NOT_CONNECTED|INTERNET_DISCONNECTED|NETWORK_CHANGED|ABORTED)/;

/** What happened on the pages of a test. */
export class Watched {
  readonly #problems: string[] = [];
  /** All that any page wrote into its console. */
  readonly said: string[] = [];
  /** All addresses that pages had. */
  readonly addresses: string[] = [];
  readonly #allowed: RegExp[] = [];
  readonly #others: string[] = [];

  /** Lets something happen. */
  allow(expected: RegExp): void {
    this.#allowed.push(expected);
  }

  /** Leaves pages of another origin alone. */
  ignore(origin: string): void {
    this.#others.push(origin);
  }

  /** Watches all pages of a context, those that are still to come included. */
  async watch(context: BrowserContext): Promise<void> {
    await context.exposeFunction("reportViolation", (text: string) => this.#problems.push(`violated: ${text}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        const { reportViolation } = window as unknown as { reportViolation: (text: string) => void };
        reportViolation(`${event.violatedDirective} by ${event.blockedURI} ${event.sample}`);
      });
    });
    context.on("page", (page) => this.#attach(page));
    context.pages().forEach((page) => this.#attach(page));
  }

  /** Fails where anything went wrong that nobody allowed. */
  check(): void {
    const unexpected = this.#problems.filter((problem) => !this.#allowed.some((allowed) => allowed.test(problem)));
    expect(unexpected, "what went wrong on the page").toEqual([]);
  }

  #attach(page: Page): void {
    page.on("console", (message) => {
      this.said.push(message.text());
      if ((message.type() === "error" || message.type() === "warning") && !this.#others.some((other) => page.url().startsWith(other))) {
        this.#problems.push(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("pageerror", (error) => this.#problems.push(`uncaught: ${error.stack ?? error.message}`));
    page.on("framenavigated", (frame) => this.addresses.push(frame.url()));
    page.on("request", (request) => this.addresses.push(request.url()));
  }
}
