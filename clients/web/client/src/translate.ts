/** From what the transport throws to errors by reason, made of the details that the service sends with every error. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import {
  AbortedError,
  AlreadyExistsError,
  DeadlineExceededError,
  EdgeUnavailableError,
  FailedPreconditionError,
  InUseError,
  InvalidRequestError,
  NotFoundError,
  OutOfRangeError,
  PermissionDeniedError,
  ResourceExhaustedError,
  SecretServiceError,
  ServiceUnreachableError,
  StaleError,
  UnauthenticatedError,
  UnavailableError,
  UnimplementedError,
  VaultThrottledError,
  VaultUnavailableError,
  type Failure,
} from "./errors.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
  type ErrorInfo,
} from "./gen/google/rpc/error_details_pb.js";

/** The metadata that names a call in the service's log. */
export const REQUEST_ID = "x-request-id";

const DOMAIN = "secret-service.iotoperations";

type Kind = new (failure: Failure) => SecretServiceError;

const BY_CODE: Partial<Record<Code, Kind>> = {
  [Code.InvalidArgument]: InvalidRequestError,
  [Code.NotFound]: NotFoundError,
  [Code.AlreadyExists]: AlreadyExistsError,
  [Code.FailedPrecondition]: FailedPreconditionError,
  [Code.Aborted]: AbortedError,
  [Code.OutOfRange]: OutOfRangeError,
  [Code.ResourceExhausted]: ResourceExhaustedError,
  [Code.Unavailable]: UnavailableError,
  [Code.PermissionDenied]: PermissionDeniedError,
  [Code.Unauthenticated]: UnauthenticatedError,
  [Code.DeadlineExceeded]: DeadlineExceededError,
  [Code.Unimplemented]: UnimplementedError,
};

// What a broken connection looks like, where the service itself said nothing.
const BROKEN: readonly Code[] = [Code.Unavailable, Code.Unknown, Code.Internal, Code.Canceled, Code.DataLoss];

const SILENT: Partial<Record<Code, string>> = {
  [Code.DeadlineExceeded]:
    "The timeout passed before the service answered. " +
    "What it recorded until then goes on; look at what is so, or call again with a longer timeout.",
  [Code.Unauthenticated]:
    "The service doesn't accept the credentials. Connect with a client certificate or a token that it knows.",
  [Code.PermissionDenied]:
    "The caller may not do this, or this page may not call. Ask the operator for the right, or to allow the page's origin.",
  [Code.Unimplemented]:
    "What answers there isn't a Secret Service of this contract. Check the address, the release, and that gRPC-Web is on.",
  [Code.ResourceExhausted]: "The message is larger than one side accepts. Send or ask for less.",
};

/** The error of a call that failed; `requestId` is the one that it was sent with. */
export function translate(thrown: unknown, requestId: string, target: string): SecretServiceError {
  if (thrown instanceof SecretServiceError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  const id = error.metadata.get(REQUEST_ID) ?? requestId;
  const info = error.findDetails(ErrorInfoSchema).find((found) => found.domain === DOMAIN);
  return info === undefined ? silent(error.code, id, target) : said(error, info, id);
}

/** An error that the service sent. */
function said(error: ConnectError, info: ErrorInfo, requestId: string): SecretServiceError {
  const [retry] = error.findDetails(RetryInfoSchema);
  const [resource] = error.findDetails(ResourceInfoSchema);
  return new (kindOf(error.code, info.reason))({
    message: error.rawMessage,
    code: error.code,
    reason: info.reason,
    metadata: info.metadata,
    resource: info.metadata["resource"] ?? resource?.resourceName ?? "",
    requestId,
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
    fieldViolations: error
      .findDetails(BadRequestSchema)
      .flatMap((found) => found.fieldViolations.map(({ field, description }) => ({ field, description }))),
    violations: error
      .findDetails(PreconditionFailureSchema)
      .flatMap((found) =>
        found.violations.map(({ type, subject, description }) => ({ type, subject, description })),
      ),
  });
}

function kindOf(code: Code, reason: string): Kind {
  if (code === Code.FailedPrecondition && reason.endsWith("IN_USE")) {
    return InUseError;
  }
  if (code === Code.Aborted && reason === "CHANGED_MEANWHILE") {
    return StaleError;
  }
  if (code === Code.ResourceExhausted && reason.startsWith("VAULT_")) {
    return VaultThrottledError;
  }
  if (code === Code.Unavailable && reason.startsWith("VAULT_")) {
    return VaultUnavailableError;
  }
  if (code === Code.Unavailable && reason.startsWith("EDGE_")) {
    return EdgeUnavailableError;
  }
  return BY_CODE[code] ?? SecretServiceError;
}

/** An error that the service didn't send: the words are ours. */
function silent(code: Code, requestId: string, target: string): SecretServiceError {
  if (BROKEN.includes(code)) {
    return unreachable(requestId, target);
  }
  const message = SILENT[code] ?? "The call failed and the service did not say why. Look in its log.";
  return new (BY_CODE[code] ?? SecretServiceError)({ message, code, requestId });
}

/** Nobody answers, or no more. Which of the two, a browser tells no page. */
export function unreachable(requestId: string, target: string): ServiceUnreachableError {
  return new ServiceUnreachableError({
    message:
      `The service at ${target} can't be reached, or the connection broke before it answered. ` +
      "Check that it runs, that the address is right, and that it lets this page call; " +
      "calling again with the same requestId is safe.",
    code: Code.Unavailable,
    reason: "SERVICE_UNREACHABLE",
    requestId,
  });
}
