/** The audit, page by page, and the same filter on both sides of the wire. */
import type { AuditEvent } from "@iotoperations/secret-service-client";
import { SecretService, type ListAuditEventsRequestSchema } from "@iotoperations/secret-service-client/v1";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { callUnaryMethod, useQuery } from "@connectrpc/connect-query";
import type { Transport } from "@connectrpc/connect";

const rpc = SecretService.method;
const LOOK_AGAIN_MS = 30_000;

/** What the audit can be asked for: all that is given must hold. */
export interface AuditFilter {
  readonly resource?: string;
  readonly actor?: string;
  readonly action?: string;
  /** `OK` or a code. */
  readonly outcome?: string;
  readonly failedOnly?: boolean;
  /** Not before. */
  readonly since?: Date;
  /** Before. */
  readonly until?: Date;
}

/** What one look at the audit gave. */
export interface AuditPage {
  /** Newest first. */
  readonly events: readonly AuditEvent[];
  /** Where older ones begin; empty where there are none. */
  readonly nextPageToken: string;
  /** How many the service sent, whether they fit the filter or not. */
  readonly sent: number;
}

/** The request for a page. */
export function auditRequest(
  { resource = "", actor = "", action = "", outcome = "", failedOnly = false, since, until }: AuditFilter,
  { pageSize = 0, pageToken = "" } = {},
): MessageInitShape<typeof ListAuditEventsRequestSchema> {
  return {
    ...{ resource, actor, action, outcome, failedOnly, pageSize, pageToken },
    ...(since && { sinceTime: timestampFromDate(since) }),
    ...(until && { untilTime: timestampFromDate(until) }),
  };
}

/** Whether an event is one of those that the filter asks for. */
export function isAskedFor(event: AuditEvent, filter: AuditFilter): boolean {
  const { resource = "", actor = "", action = "", outcome = "", failedOnly = false, since, until } = filter;
  const time = event.eventTime && timestampDate(event.eventTime).getTime();
  return (
    (resource === "" || event.resource === resource) &&
    (actor === "" || event.actor === actor) &&
    (action === "" || event.action === action) &&
    (outcome === "" || event.outcome === outcome) &&
    (!failedOnly || !(event.outcome === "OK" || event.outcome === "ACCEPTED")) &&
    (since === undefined || (time !== undefined && time >= since.getTime())) &&
    (until === undefined || (time !== undefined && time < until.getTime()))
  );
}

/** A page. A service that doesn't know a part of the filter leaves it out of account, so that what it sends is looked at again. */
export async function auditPage(
  transport: Transport,
  filter: AuditFilter,
  { signal, ...page }: { pageSize?: number; pageToken?: string; signal?: AbortSignal },
): Promise<AuditPage> {
  const { auditEvents, nextPageToken } = await callUnaryMethod(
    transport,
    rpc.listAuditEvents,
    auditRequest(filter, page),
    signal === undefined ? {} : { signal },
  );
  const events = auditEvents.filter((event) => isAskedFor(event, filter));
  return { events, nextPageToken, sent: auditEvents.length };
}

/** The newest events, of a resource or of all. */
export function useNewestEvents(pageSize: number, resource = "") {
  return useQuery(rpc.listAuditEvents, { pageSize, resource }, { refetchInterval: LOOK_AGAIN_MS });
}
