/** Calls of the contract in JSON, made through the client, and its answers as JSON again. */
import {
  create,
  fromJson,
  toJson,
  type DescMessage,
  type DescMethod,
  type JsonObject,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { durationMs, type Duration } from "@bufbuild/protobuf/wkt";
import {
  Code,
  SecretServiceError,
  type Pager,
  type Reference,
  type SecretServiceClient,
} from "@iotoperations/secret-service-client";
import {
  SecretService,
  type AddVaultSecretVersionRequest,
  type RecoverVaultSecretRequest,
  type UpdateVaultSecretRequest,
  CheckResourceResponseSchema,
  type AdoptSyncedSecretRequest,
  type CheckResourceRequest,
  type CreateSyncedSecretRequest,
  type CreateVaultSecretRequest,
  type DeleteSyncedSecretRequest,
  type GetCallerRequest,
  type GetSyncedSecretRequest,
  type ListAuditEventsRequest,
  type ListSecretPurposesRequest,
  type ListSecretUsagesRequest,
  type ListSyncedSecretsRequest,
  type ListVaultSecretsRequest,
  type ListVaultSecretVersionsRequest,
  type NewVaultSecret,
  type SecretReference,
  type SyncSyncedSecretRequest,
  type UpdateSyncedSecretRequest,
} from "@iotoperations/secret-service-client/v1";

import type { Call, Outcome } from "./scenario.js";

type Made = Promise<Message> | Pager<Message>;

/** For the scenario: calls through the client. */
export function callWith(client: SecretServiceClient): Call {
  return async (name, request) => {
    const method = methodOf(name);
    try {
      const made = make(client, method.localName, fromJson(method.input, request));
      return { response: "pages" in made ? await page(made, method) : toJson(method.output, await made) };
    } catch (error) {
      if (error instanceof SecretServiceError) {
        return refusedAs(
          error.code,
          error.reason,
          error.fieldViolations.map(({ field }) => field),
        );
      }
      throw error;
    }
  };
}

/** The method of the contract. */
export function methodOf(name: string): DescMethod {
  const method = SecretService.methods.find((found) => found.name === name);
  if (method === undefined) {
    throw new Error(`the contract has no ${name}`);
  }
  return method;
}

/** An error as the scenario describes it. */
export function refusedAs(code: Code, reason: string, fields: string[]): Outcome {
  const name = Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return { error: { code: name, reason, fields } };
}

function make(client: SecretServiceClient, method: string, message: Message): Made {
  const made = MAKERS[method];
  if (made === undefined) {
    throw new Error(`no way to make ${method}`);
  }
  return made(client, message as never);
}

/** Everything of a request that stands in the message, less what stands for nothing. */
function options<T extends { requestId?: string; wait?: Duration | undefined }>(
  request: T,
): T & { waitMs?: number } {
  const rest = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== "" && value !== undefined));
  return { ...(rest as T), ...(request.wait && { waitMs: durationMs(request.wait) }) };
}

const MAKERS: Record<string, (client: SecretServiceClient, request: never) => Made> = {
  getVault: (client) => client.getVault(),
  listVaultSecrets: (client, request: ListVaultSecretsRequest) => client.listVaultSecrets(request),
  getVaultSecret: (client, { name }: GetSyncedSecretRequest) => client.getVaultSecret(name),
  listVaultSecretVersions: (client, request: ListVaultSecretVersionsRequest) =>
    client.listVaultSecretVersions(request.parent, request),
  createVaultSecret: (client, request: CreateVaultSecretRequest) =>
    client.createVaultSecret(request.vaultSecretId, stored(request.secret), {
      ...request.secret,
      ...options(request),
    }),
  addVaultSecretVersion: (client, request: AddVaultSecretVersionRequest) =>
    client.addVaultSecretVersion(request.parent, stored(request.secret), {
      ...request.secret,
      ...options(request),
    }),
  updateVaultSecret: (client, request: UpdateVaultSecretRequest) => {
    const masked = request.updateMask?.paths.map((path) => path.replace(/_./g, (part) => part.charAt(1).toUpperCase()));
    const named = Object.entries(request.vaultSecret ?? {}).filter(([key]) => masked?.includes(key));
    return client.updateVaultSecret(request.vaultSecret?.name ?? "", Object.fromEntries(named), {
      ...options(request),
      version: request.version,
    });
  },
  recoverVaultSecret: (client, request: RecoverVaultSecretRequest) =>
    client.recoverVaultSecret(request.name, options(request)),
  createSyncedSecret: (client, request: CreateSyncedSecretRequest) =>
    client.createSyncedSecret(request.syncedSecretId, references(request.syncedSecret?.references), {
      ...request.syncedSecret,
      ...options(request),
    }),
  getSyncedSecret: (client, { name }: GetSyncedSecretRequest) => client.getSyncedSecret(name),
  listSyncedSecrets: (client, { filter, ...request }: ListSyncedSecretsRequest) =>
    client.listSyncedSecrets({ ...filter, ...request }),
  updateSyncedSecret: (client, request: UpdateSyncedSecretRequest) => {
    const { name = "", etag = "", ...changed } = request.syncedSecret ?? {};
    const masked = Object.entries(changed).filter(([key]) => request.updateMask?.paths.includes(key));
    const { setReferences, removeKeys } = request;
    const changes = { ...Object.fromEntries(masked), setReferences: references(setReferences), removeKeys };
    return client.updateSyncedSecret(name, changes, { etag, ...options(request) });
  },
  deleteSyncedSecret: (client, request: DeleteSyncedSecretRequest) =>
    client.deleteSyncedSecret(request.name, options(request)),
  syncSyncedSecret: (client, request: SyncSyncedSecretRequest) =>
    client.syncSyncedSecret(request.name, options(request)),
  adoptSyncedSecret: (client, request: AdoptSyncedSecretRequest) =>
    client.adoptSyncedSecret(request.name, { ...options(request), references: references(request.references) }),
  listSecretUsages: (client, request: ListSecretUsagesRequest) => client.listSecretUsages(request.parent, request),
  listSecretPurposes: (client, request: ListSecretPurposesRequest) => client.listSecretPurposes(request),
  checkResource: async (client, { manifest }: CheckResourceRequest) =>
    create(CheckResourceResponseSchema, { resources: await client.checkResource(manifest) }),
  listAuditEvents: (client, request: ListAuditEventsRequest) => client.listAuditEvents(request),
  getCaller: (client, { resource }: GetCallerRequest) => client.getCaller({ resource }),
};

function references(received: SecretReference[] | undefined): Reference[] {
  return (received ?? []).map(({ create: made, ...reference }) => ({
    ...reference,
    create: made && { ...made, value: stored(made) },
  }));
}

/** What is to be stored: the client takes bytes in the place of a text. */
function stored(secret: NewVaultSecret | undefined): string | Uint8Array {
  return secret?.data.length ? secret.data : (secret?.value ?? "");
}

/** The first page of a list as the contract's JSON. */
async function page(pager: Pager<Message>, method: DescMethod): Promise<JsonValue> {
  const list = method.output.fields.find((field) => field.fieldKind === "list");
  const item = list?.listKind === "message" ? list.message : undefined;
  const { value } = await pager.pages().next();
  if (list === undefined || item === undefined || value === undefined) {
    throw new Error(`${method.name} answers with no list`);
  }
  const found: JsonObject = { [list.jsonName]: value.items.map((each) => toJson<DescMessage>(item, each)) };
  return { ...found, nextPageToken: value.nextPageToken, ...(value.totalSize && { totalSize: value.totalSize }) };
}
