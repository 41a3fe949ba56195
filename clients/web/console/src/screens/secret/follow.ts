/** How far what was asked for is on its way to the edge. */
import { conditionOf, State, type SyncedSecret } from "@iotoperations/secret-service-client";

/** What was asked for. */
export interface Followed {
  /** In words: "The change". */
  readonly what: string;
  /** The generation that holds it. */
  readonly generation?: bigint;
  /** The version of a vault secret that the edge shall have under a key. */
  readonly version?: { readonly key: string; readonly version: string };
}

/** `going`: it is on its way. `there`: the edge has it. `failed`: the latest attempt failed; the service goes on. */
export interface Way {
  readonly step: "going" | "there" | "failed";
  /** What the service says of it. */
  readonly message: string;
}

/** Looks at what is so now. */
export function wayOf(secret: SyncedSecret, { generation = 0n, version }: Followed): Way {
  const message = conditionOf(secret, "Synced")?.message ?? "";
  // What is older than the change says nothing about it.
  if (secret.generation < generation) {
    return { step: "going", message: "" };
  }
  if (secret.state === State.DEGRADED || secret.state === State.FAILED) {
    return { step: "failed", message };
  }
  const hasGeneration = secret.state === State.SYNCED && secret.syncedGeneration >= generation;
  const reference = secret.references.find(({ key }) => key === version?.key);
  const hasVersion = version === undefined || reference?.syncedVersion === version.version;
  return { step: hasGeneration && hasVersion ? "there" : "going", message };
}
