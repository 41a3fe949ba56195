/** What is selected: that very synced secret, and not whatever has its name. */
import type { SyncedSecret } from "@iotoperations/secret-service-client";

type ByName = ReadonlyMap<string, SyncedSecret>;

/** The uids of what is selected, by name. */
export type Selection = ReadonlyMap<string, string>;

/** What has these names now. */
export function selectionOf(names: Iterable<string>, byName: ByName): Selection {
  return new Map([...names].flatMap((name) => {
    const found = byName.get(name);
    return found === undefined ? [] : [[name, found.uid] as const];
  }));
}

/** What is selected and still there, as it is now. */
export function selectedOf(selection: Selection, byName: ByName): readonly SyncedSecret[] {
  return [...selection].flatMap(([name, uid]) => {
    const found = byName.get(name);
    return found?.uid === uid ? [found] : [];
  });
}
