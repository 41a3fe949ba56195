/** Lists that page by themselves. */

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; empty on the last one. */
  readonly nextPageToken: string;
  /** How many there are in all, where the service says so. */
  readonly totalSize?: number;
  /** What the service could not read, so that items may be missing here. */
  readonly unreachable?: readonly string[];
}

/**
 * What a list call returns: iterate it for the items, or {@link Pager.pages} for page after page. Nothing is asked of
 * the service until the iteration begins, and the next page only when it is needed. It can be iterated again.
 */
export class Pager<T> implements AsyncIterable<T> {
  readonly #fetch: (pageToken: string) => Promise<Page<T>>;
  readonly #pageToken: string;

  constructor(fetch: (pageToken: string) => Promise<Page<T>>, pageToken = "") {
    this.#fetch = fetch;
    this.#pageToken = pageToken;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) {
      yield* page.items;
    }
  }

  /** Page after page. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let token = this.#pageToken;
    do {
      const page = await this.#fetch(token);
      yield page;
      token = page.nextPageToken;
    } while (token !== "");
  }

  /** All items at once. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) {
      items.push(item);
    }
    return items;
  }
}
