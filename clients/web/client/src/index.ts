/**
 * The Secret Service: the synced secrets of an Azure IoT Operations instance, from browsers and Node.
 *
 * {@link connect} gives a client; `@iotoperations/secret-service-client/v1` has what the contract generates.
 */
export { Code } from "@connectrpc/connect";

export type { CallInfo, CallOptions } from "./caller.js";
export {
  canWork,
  conditionOf,
  idOf,
  isSynced,
  SecretServiceClient,
  type AuditFilter,
  type ChangeOptions,
  type Changes,
  type ClientOptions,
  type ListOptions,
  type StateOptions,
  type SyncOptions,
  type Target,
  type WaitOptions,
} from "./client.js";
export { connect, type ConnectOptions } from "./connect.js";
export * from "./errors.js";
export {
  Caller_Authentication as Authentication,
  Condition_Status as ConditionStatus,
  MethodPermission_Access as Access,
  SecretReference_Encoding as Encoding,
  SecretReference_Part as Part,
  SyncedSecret_Origin as Origin,
  SyncedSecret_State as State,
  SyncEngine,
} from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
export type {
  AuditEvent,
  Caller,
  CertificateFacts,
  CheckedResource,
  CheckedUsage,
  Condition,
  MethodPermission,
  PurposeField,
  PurposeKey,
  SecretPurpose,
  SecretReference,
  SecretUsage,
  SyncedSecret,
  Vault,
  VaultSecret,
  VaultSecretVersion,
} from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
export { newId } from "./id.js";
export {
  createNew,
  existing,
  type Filter,
  type NewValue,
  type Reference,
  type StoredOptions,
  type ValueOptions,
} from "./input.js";
export type { Page, Pager } from "./pager.js";
export type { WatchEvent } from "./resumption.js";
export { SecretData, SecretValue, type Secret } from "./value.js";
export type { Watch, WatchOptions } from "./watch.js";
