/** Errors by reason. Their text is for people; `code` and `reason` are for programs, and stable. */
import { Code } from "@connectrpc/connect";

import type { SyncedSecret } from "./gen/iotoperations/secrets/v1/secret_service_pb.js";

/** What is wrong with a field of a request. */
export interface FieldViolation {
  /** Its path in the contract's names, for example `synced_secret.references[1].key`. */
  readonly field: string;
  readonly description: string;
}

/** What stands in the way of a call. */
export interface PreconditionViolation {
  readonly type: string;
  /** What it is about: the name of a resource, or of who uses it. */
  readonly subject: string;
  readonly description: string;
}

/** What is known about a call that failed. */
export interface Failure {
  readonly message: string;
  readonly code: Code;
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly resource?: string;
  readonly requestId?: string;
  readonly retryAfterMs?: number | undefined;
  readonly fieldViolations?: readonly FieldViolation[];
  readonly violations?: readonly PreconditionViolation[];
}

/** A call that the service refused or could not carry out. */
export class SecretServiceError extends Error {
  static {
    this.prototype.name = "SecretServiceError";
  }

  /** The canonical code. */
  readonly code: Code;
  /** UPPER_SNAKE_CASE, for example `VAULT_SECRET_NOT_FOUND`. */
  readonly reason: string;
  /** More for programs. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The name of the resource that it is about; empty where it is about none. */
  readonly resource: string;
  /** The `x-request-id` under which the call stands in the service's log. */
  readonly requestId: string;
  /** Milliseconds after which calling again may help, where the service knows. */
  readonly retryAfterMs: number | undefined;
  /** The fields of the request that it is about; not only invalid ones, also a taken id or a missing vault secret. */
  readonly fieldViolations: readonly FieldViolation[];

  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
    this.reason = failure.reason ?? "";
    this.metadata = failure.metadata ?? {};
    this.resource = failure.resource ?? "";
    this.requestId = failure.requestId ?? "";
    this.retryAfterMs = failure.retryAfterMs;
    this.fieldViolations = failure.fieldViolations ?? [];
  }
}

/** The request can never succeed as it is; `fieldViolations` says what is wrong, all at once. */
export class InvalidRequestError extends SecretServiceError {
  static {
    this.prototype.name = "InvalidRequestError";
  }
}

/** The named synced secret, vault secret or version isn't there. */
export class NotFoundError extends SecretServiceError {
  static {
    this.prototype.name = "NotFoundError";
  }
}

/** The id is taken: here, in the vault, or at the edge by what isn't managed here. */
export class AlreadyExistsError extends SecretServiceError {
  static {
    this.prototype.name = "AlreadyExistsError";
  }
}

/** Something stands in the way that the caller or an operator must change first. */
export class FailedPreconditionError extends SecretServiceError {
  static {
    this.prototype.name = "FailedPreconditionError";
  }

  readonly violations: readonly PreconditionViolation[];

  constructor(failure: Failure) {
    super(failure);
    this.violations = failure.violations ?? [];
  }
}

/** Something uses it. `force` deletes all the same. */
export class InUseError extends FailedPreconditionError {
  static {
    this.prototype.name = "InUseError";
  }

  /** One for each field that names it: `subject` says whose, `description` how. */
  get usages(): readonly PreconditionViolation[] {
    return this.violations;
  }
}

/** A concurrent call was first: look at what is so now, then call again. */
export class AbortedError extends SecretServiceError {
  static {
    this.prototype.name = "AbortedError";
  }
}

/** It changed since it was read (its etag no longer matches): get it again. */
export class StaleError extends AbortedError {
  static {
    this.prototype.name = "StaleError";
  }
}

/** A resume token is too old to go on from. */
export class OutOfRangeError extends SecretServiceError {
  static {
    this.prototype.name = "OutOfRangeError";
  }
}

/** A limit is reached: of the service or of the vault. `retryAfterMs` says when to call again. */
export class ResourceExhaustedError extends SecretServiceError {
  static {
    this.prototype.name = "ResourceExhaustedError";
  }
}

/** The vault takes no more calls for a while. */
export class VaultThrottledError extends ResourceExhaustedError {
  static {
    this.prototype.name = "VaultThrottledError";
  }
}

/** It doesn't work right now and may soon; `retryAfterMs` says when to call again. */
export class UnavailableError extends SecretServiceError {
  static {
    this.prototype.name = "UnavailableError";
  }
}

/** The service itself doesn't answer, or the connection broke. */
export class ServiceUnreachableError extends UnavailableError {
  static {
    this.prototype.name = "ServiceUnreachableError";
  }
}

/** The vault can't be reached. What is synced stays at the edge. */
export class VaultUnavailableError extends UnavailableError {
  static {
    this.prototype.name = "VaultUnavailableError";
  }
}

/** The cluster can't be reached. */
export class EdgeUnavailableError extends UnavailableError {
  static {
    this.prototype.name = "EdgeUnavailableError";
  }
}

/** The caller may not, or the service may not in the vault or the cluster: see the reason. */
export class PermissionDeniedError extends SecretServiceError {
  static {
    this.prototype.name = "PermissionDeniedError";
  }
}

/** No credentials, or none that count. */
export class UnauthenticatedError extends SecretServiceError {
  static {
    this.prototype.name = "UnauthenticatedError";
  }
}

/** The timeout passed. What the service recorded until then goes on. */
export class DeadlineExceededError extends SecretServiceError {
  static {
    this.prototype.name = "DeadlineExceededError";
  }
}

/**
 * A wait ended before the edge held it: `syncedSecret` says how far it is, `reason` and the message what its condition says.
 * The code is `DeadlineExceeded` where the time was over, and `FailedPrecondition` where the attempt failed or it is being
 * deleted.
 */
export class NotSyncedError extends SecretServiceError {
  static {
    this.prototype.name = "NotSyncedError";
  }

  readonly syncedSecret: SyncedSecret;

  constructor(failure: Failure, syncedSecret: SyncedSecret) {
    super(failure);
    this.syncedSecret = syncedSecret;
  }
}

/** The service can't do this in its release. */
export class UnimplementedError extends SecretServiceError {
  static {
    this.prototype.name = "UnimplementedError";
  }
}
