import { expect, test } from "vitest";

import { acceptedOf, againOf, isRunning, toldOf, wordsOfTally, type Progress, type Steps } from "./deletion-steps";

const [GONE, LEAVING] = [{ step: "gone" }, { step: "leaving", held: "" }] as const;
const REFUSED = { step: "refused", error: new Error("You may not.") } as const;
const UNKNOWN = { step: "unknown", error: new Error("The connection broke.") } as const;
const [STOPPED, ASKED, WAITING] = [{ step: "stopped" }, { step: "asked" }, { step: "waiting" }] as const;

const steps = (...all: Progress[]): Steps => new Map(all.map((one, index) => [`syncedSecrets/${"abcdefg".charAt(index)}`, one]));
const title = (wasSeen: boolean, ...all: Progress[]) => toldOf(steps(...all), wasSeen)?.title;

test("what is gone or on its way out was accepted; the rest can be asked for again", () => {
  const all = steps(GONE, LEAVING, REFUSED, UNKNOWN, STOPPED, ASKED, WAITING);
  expect(acceptedOf(all)).toEqual(["syncedSecrets/a", "syncedSecrets/b"]);
  expect(againOf(all)).toEqual(["syncedSecrets/c", "syncedSecrets/d", "syncedSecrets/e"]);
  expect(wordsOfTally(all)).toBe("1 deleted, 1 being deleted, 1 not deleted, 1 not known, 1 asked for, 1 waiting, 1 not asked for");
  expect([steps(ASKED), steps(WAITING), steps(LEAVING, UNKNOWN)].map(isRunning)).toEqual([true, true, false]);
});

test("of one, the toast says how far it is", () => {
  expect(title(true, GONE)).toBe("a is deleted");
  expect(title(true, LEAVING)).toBe("a is being deleted");
  expect(toldOf(steps(UNKNOWN), true)).toEqual({ title: "Whether a is deleted is not known", body: "The connection broke.", isBad: true });
  expect(toldOf(steps(REFUSED), false)).toEqual({ title: "a is not deleted", body: "You may not.", isBad: true });
});

test("of several, the toast counts all that became of them", () => {
  expect(title(true, GONE, GONE)).toBe("2 synced secrets are deleted");
  expect(title(true, LEAVING, LEAVING)).toBe("2 synced secrets are being deleted");
  expect(title(true, GONE, LEAVING, REFUSED)).toBe("Of 3 synced secrets: 1 deleted, 1 being deleted, 1 not deleted");
  expect(toldOf(steps(GONE, UNKNOWN, STOPPED), true)).toMatchObject({ body: "The connection broke.", isBad: true });
});

test("a refusal that somebody saw is no news, and one that nobody saw is", () => {
  expect(toldOf(steps(REFUSED, STOPPED), true)).toBeUndefined();
  expect(toldOf(steps(REFUSED, STOPPED), false)).toMatchObject({ title: "Of 2 synced secrets: 1 not deleted, 1 not asked for", isBad: true });
  expect(toldOf(steps(GONE, REFUSED), true)).toMatchObject({ isBad: false });
  expect(toldOf(new Map(), true)).toBeUndefined();
});
