/** The time of day as the page goes by it: what is said of distances stays true while somebody looks at it. */
import { useSyncExternalStore } from "react";

const TICK_MS = 30_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Now, to half a minute; whoever asks is rendered anew when that has passed. */
export function useNow(): Date {
  return new Date(useSyncExternalStore(subscribe, tick));
}

/** One timer for the page, and none where nobody listens. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    for (const told of listeners) {
      told();
    }
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

function tick(): number {
  return Math.floor(Date.now() / TICK_MS) * TICK_MS;
}
