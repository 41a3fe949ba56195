/** What a look at the vault and the instance found: what is in the way, what is not known, and what holds. */
import { ConditionStatus, SyncEngine, type Condition, type Vault } from "@iotoperations/secret-service-client";

/** How much a setting is worth a look. */
export type Weight = "problem" | "unknown" | "unchecked" | "unneeded" | "holds";

/** A setting of the instance. */
export interface Setting {
  readonly type: string;
  readonly title: string;
  readonly weight: Weight;
  /** Who lacks something, or whose part it is; empty where it holds. */
  readonly who: string;
  /** In the service's words, with what to do. */
  readonly message: string;
  readonly since: Condition["lastTransitionTime"];
}

/** A condition as a statement: what it is where it holds, and where it doesn't. */
const TITLES: Readonly<Record<string, readonly [holds: string, fails: string]>> = {
  Reachable: ["The vault answers", "The vault doesn't answer"],
  CanList: ["The service may list the vault's secrets", "The service may not list the vault's secrets"],
  CanGet: ["The service may read values from the vault", "The service may not read values from the vault"],
  CanCreate: ["The service may create secrets in the vault", "The service may not create secrets in the vault"],
  SecureSettings: ["All that syncing needs is in place", "Something that syncing needs is missing"],
  SecretStoreInstalled: ["The Secret Store extension works", "The Secret Store extension doesn't work"],
  EngineChosen: ["The engine for new synced secrets is known", "The engine for new synced secrets is not known"],
  Compared: ["The edge was lately compared with the vault", "The edge was not compared with the vault for long"],
  Leader: ["This process is the leader of the instance", "Another process is the leader of the instance"],
};

const SERVICE = "the service";
const EXTENSION = "the extension";
const CLUSTER = "the cluster";

/** Whose part a reason is, where the reason tells. */
const WHO_BY_REASON: Readonly<Record<string, string>> = {
  VaultForbidden: "the service's identity in the vault",
  VaultUnauthenticated: "the service's identity",
  VaultFirewall: "the vault's firewall",
  VaultUnreachable: "the network to the vault",
  VaultThrottled: "the vault",
  VaultRejected: "the vault",
  EdgeForbidden: "the service account in the cluster",
  EdgeUnreachable: CLUSTER,
  NotInstalled: CLUSTER,
  ExtensionFailed: EXTENSION,
  EngineNotResponding: EXTENSION,
  SettingsMissing: "the service's configuration",
  StandingBy: "another process",
};

/** Whose part a condition is otherwise. */
const WHO_BY_TYPE: Readonly<Record<string, string>> = { SecretStoreInstalled: EXTENSION, EngineChosen: "the service's configuration" };

/** What there is to look at first comes first. */
const ORDER: readonly Weight[] = ["problem", "unknown", "unchecked", "unneeded", "holds"];

/** The settings, by weight. */
export function settingsOf({ conditions, engine }: Pick<Vault, "conditions" | "engine">): readonly Setting[] {
  const settings = conditions.map((condition): Setting => {
    const weight = weightOf(condition, engine);
    return {
      type: condition.type,
      title: titleOf(condition, weight),
      weight,
      who: weight === "problem" || weight === "unknown" ? whoOf(condition) : "",
      message: condition.message,
      since: condition.lastTransitionTime,
    };
  });
  const told = withoutRepetition(settings);
  return ORDER.flatMap((weight) => told.filter((setting) => setting.weight === weight));
}

function weightOf({ type, status, reason }: Condition, engine: SyncEngine): Weight {
  if (status === ConditionStatus.TRUE) {
    return "holds";
  }
  if (status === ConditionStatus.FALSE) {
    // Nobody misses the extension where the service copies the values itself; one that is there and fails is another matter.
    const isUnneeded = type === "SecretStoreInstalled" && engine === SyncEngine.DIRECT && reason === "NotInstalled";
    return isUnneeded ? "unneeded" : "problem";
  }
  return reason === "NotChecked" ? "unchecked" : "unknown";
}

function titleOf({ type, reason }: Condition, weight: Weight): string {
  const [holds, fails] = TITLES[type] ?? [type, type];
  switch (weight) {
    case "holds":
      return holds;
    case "unneeded":
      return "The Secret Store extension is not installed, and not needed";
    case "problem":
      return type === "SecretStoreInstalled" && reason === "NotInstalled" ? "The Secret Store extension is not installed" : fails;
    default:
      return `${holds}?`;
  }
}

function whoOf({ type, reason }: Condition): string {
  return WHO_BY_REASON[reason] ?? WHO_BY_TYPE[type] ?? SERVICE;
}

/** The summary quotes what it sums up: said once is enough. */
function withoutRepetition(settings: readonly Setting[]): readonly Setting[] {
  const others = settings.filter(({ type, weight }) => type !== "SecureSettings" && weight !== "holds");
  return settings.map((setting) => {
    if (setting.type !== "SecureSettings" || setting.weight === "holds") {
      return setting;
    }
    const rest = others.reduce((text, { message }) => (message === "" ? text : text.replaceAll(message, "")), setting.message);
    return { ...setting, message: rest.replaceAll(/\s+/g, " ").trim() || "See the other settings here." };
  });
}
