/** Pauses that end at once when a signal says so. */

/** Waits that long; throws the signal's reason where it is aborted meanwhile. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
  signal?.throwIfAborted();
}

/** Spread, because a restart of the service breaks every call and watch at once. */
export function spread(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
