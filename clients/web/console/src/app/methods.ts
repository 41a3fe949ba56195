/** The methods of the contract in words, and what a caller may do with them. */
import { MethodPermission_Access as Access, type Caller, type MethodPermission } from "@iotoperations/secret-service-client/v1";
import { Caller_Authentication as Authentication } from "@iotoperations/secret-service-client/v1";

const WORDS: Readonly<Record<string, string>> = {
  GetVault: "see the state of the vault and the instance",
  ListVaultSecrets: "list the secrets in the vault",
  GetVaultSecret: "look at a secret in the vault",
  ListVaultSecretVersions: "list the versions of a vault secret",
  CreateVaultSecret: "create vault secrets (Create new)",
  AddVaultSecretVersion: "add versions to vault secrets",
  UpdateVaultSecret: "change vault secrets",
  RecoverVaultSecret: "recover deleted vault secrets",
  CreateSyncedSecret: "create synced secrets",
  GetSyncedSecret: "look at a synced secret",
  ListSyncedSecrets: "list synced secrets",
  WatchSyncedSecrets: "watch synced secrets",
  UpdateSyncedSecret: "change synced secrets",
  DeleteSyncedSecret: "delete synced secrets",
  SyncSyncedSecret: "sync synced secrets now",
  AdoptSyncedSecret: "adopt what another tool created",
  ListSecretUsages: "see what uses synced secrets",
  CheckResource: "check manifests",
  ListSecretPurposes: "see what synced secrets can be for",
  ListAuditEvents: "read the audit",
};
const REFERENCE = "refer to secrets in the vault (Add from Azure Key Vault)";

/** Something that a caller may or may not do. */
export interface Right {
  readonly id: string;
  readonly words: string;
  /** Why not, and how it is granted. */
  readonly why: string;
}

/** What a caller may do, may do for single names, and may not do; what the answer doesn't say is in none. */
export interface Rights {
  readonly allowed: readonly Right[];
  readonly someNames: readonly Right[];
  readonly denied: readonly Right[];
}

export function rightsOf({ permissions, reference }: Pick<Caller, "permissions" | "reference">): Rights {
  const all = [
    ...permissions.map((permission) => [permission.method, permission] as const),
    ...(reference === undefined ? [] : [["reference", reference] as const]),
  ];
  const having = (access: Access): readonly Right[] =>
    all.flatMap(([id, permission]) => (permission.access === access ? [rightOf(id, permission)] : []));
  return { allowed: having(Access.ALLOWED), someNames: having(Access.NOT_ALL_NAMES), denied: having(Access.DENIED) };
}

function rightOf(id: string, { message }: MethodPermission): Right {
  return { id, words: id === "reference" ? REFERENCE : (WORDS[id] ?? id), why: message };
}

/** How a caller proved who they are. */
export function wordsOfAuthentication(authentication: Authentication): string {
  const words: Partial<Record<Authentication, string>> = {
    [Authentication.NONE]: "Not at all: this service lets everybody on its machine do everything",
    [Authentication.CLUSTER_TOKEN]: "By a token that the cluster accepts",
    [Authentication.CLIENT_CERTIFICATE]: "By a client certificate",
    [Authentication.OPENID_CONNECT]: "By a token of the OpenID Connect issuer",
  };
  return words[authentication] ?? "unknown";
}
