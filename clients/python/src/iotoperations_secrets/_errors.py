"""Exceptions by reason, made of the details that the service sends with every error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from ._types import SyncedSecret

if TYPE_CHECKING:
    from typing_extensions import Self

M = TypeVar("M", bound=Message)

_log = logging.getLogger("iotoperations_secrets")

REQUEST_ID = "x-request-id"
_DETAILS = "grpc-status-details-bin"
_DOMAIN = "secret-service.iotoperations"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with a field of a request."""

    field: str
    """Its path in the contract's names, for example ``synced_secret.references[1].key``."""
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """What stands in the way of a call."""

    type: str
    subject: str
    """What it is about: the name of a resource, or of who uses it."""
    description: str


class SecretServiceError(Exception):
    """A call that the service refused or could not carry out.

    Its text is for people; ``code`` and ``reason`` are for programs, and stable.
    """

    code: grpc.StatusCode
    """The canonical code."""
    reason: str
    """UPPER_SNAKE_CASE, for example ``VAULT_SECRET_NOT_FOUND``."""
    message: str
    """What happened and what to do next."""
    metadata: Mapping[str, str]
    """More for programs; ``resource`` is the name of what it is about."""
    request_id: str
    """The ``x-request-id`` under which the call stands in the service's log."""
    retry_after: float | None
    """Seconds after which calling again may help, where the service knows."""
    field_violations: tuple[FieldViolation, ...] = ()
    """The fields of the request that it is about; not only invalid ones, also a taken id or a missing vault secret."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def resource(self) -> str:
        """The name of the resource that it is about; empty where it is about none."""
        return self.metadata.get("resource", "")

    def _read(self, details: _Details) -> Self:
        """Takes what the details have for this kind of error."""
        self.field_violations = tuple(
            FieldViolation(violation.field, violation.description)
            for message in details.all(error_details_pb2.BadRequest)
            for violation in message.field_violations
        )
        return self

    def __str__(self) -> str:
        about = " ".join(part for part in (self.code.name, self.reason) if part)
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} [{about}{request}]"


class InvalidRequest(SecretServiceError):  # noqa: N818 - as all below: named by what is so
    """The request can never succeed as it is; ``violations`` says what is wrong, all at once."""

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        """What is wrong, field by field."""
        return self.field_violations


class NotFound(SecretServiceError):  # noqa: N818
    """The named synced secret, vault secret or version isn't there."""


class AlreadyExists(SecretServiceError):  # noqa: N818
    """The id is taken, here, in the vault, or at the edge by what isn't managed here."""


class FailedPrecondition(SecretServiceError):  # noqa: N818
    """Something stands in the way that the caller or an operator must change first."""

    violations: tuple[PreconditionViolation, ...] = ()

    def _read(self, details: _Details) -> Self:
        self.violations = tuple(
            PreconditionViolation(violation.type, violation.subject, violation.description)
            for message in details.all(error_details_pb2.PreconditionFailure)
            for violation in message.violations
        )
        return super()._read(details)


class InUse(FailedPrecondition):
    """Something uses it: ``usages`` names each one. ``force`` deletes all the same."""

    @property
    def usages(self) -> tuple[PreconditionViolation, ...]:
        """One for each field that names it: ``subject`` says whose, ``description`` how."""
        return self.violations


class Aborted(SecretServiceError):  # noqa: N818
    """A concurrent call was first: look at what is so now, then call again."""


class Stale(Aborted):
    """It changed since it was read (its etag no longer matches): get it again."""


class OutOfRange(SecretServiceError):  # noqa: N818
    """A resume token is too old to go on from."""


class ResourceExhausted(SecretServiceError):  # noqa: N818
    """A limit is reached: of the service or of the vault. ``retry_after`` says when to call again."""


class VaultThrottled(ResourceExhausted):
    """The vault takes no more calls for a while."""


class Unavailable(SecretServiceError):  # noqa: N818
    """It doesn't work right now and may soon; ``retry_after`` says when to call again."""


class ServiceUnreachable(Unavailable):
    """The service itself doesn't answer, or the connection broke."""


class VaultUnavailable(Unavailable):
    """The vault can't be reached. What is synced stays at the edge."""


class EdgeUnavailable(Unavailable):
    """The cluster can't be reached."""


class PermissionDenied(SecretServiceError):  # noqa: N818
    """The caller may not, or the service may not in the vault or the cluster: see the reason."""


class Unauthenticated(SecretServiceError):  # noqa: N818
    """No credentials, or none that count."""


class DeadlineExceeded(SecretServiceError, TimeoutError):  # noqa: N818
    """The timeout passed. What the service recorded until then goes on."""


class Unimplemented(SecretServiceError):  # noqa: N818
    """The service can't do this in its release."""


class NotSynced(SecretServiceError):  # noqa: N818
    """A wait ended before the edge held it, because the attempt failed or it is being deleted.

    ``synced_secret`` says how far it is, ``reason`` and the message what its condition says.
    """

    synced_secret: SyncedSecret | None = None


class NotSyncedInTime(NotSynced, TimeoutError):  # noqa: N818
    """The timeout of a wait passed before the edge held it."""


_BY_CODE: Mapping[grpc.StatusCode, type[SecretServiceError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}
# What a broken connection looks like, where the service itself said nothing.
_BROKEN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
)
_SILENT = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "The timeout passed before the service answered. "
    "What it recorded until then goes on; look at what is so, or call again with a longer timeout.",
    grpc.StatusCode.UNAUTHENTICATED: "The service doesn't accept the credentials. "
    "Connect with a client certificate or a service-account token that it knows.",
    grpc.StatusCode.PERMISSION_DENIED: "The caller may not do this. Ask the operator for the right.",
    grpc.StatusCode.UNIMPLEMENTED: "What answers there isn't a Secret Service of this contract. "
    "Check the address and the release.",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "The message is larger than one side accepts. Send or ask for less.",
}


class _Details:
    """The details of an error, as the service packed them."""

    def __init__(self, status: status_pb2.Status) -> None:
        self._status = status

    @classmethod
    def of(cls, metadata: Mapping[str, str | bytes]) -> _Details:
        packed, status = metadata.get(_DETAILS), status_pb2.Status()
        if isinstance(packed, bytes):
            try:
                status.ParseFromString(packed)
            except DecodeError:
                _log.debug("the details of an error can't be read")
        return cls(status)

    def all(self, kind: type[M]) -> Iterator[M]:
        for packed in self._status.details:
            message = kind()
            if packed.Is(message.DESCRIPTOR) and packed.Unpack(message):
                yield message

    def first(self, kind: type[M]) -> M | None:
        return next(self.all(kind), None)


def translate(error: Exception, request_id: str, target: str) -> SecretServiceError:
    """The exception of a call that failed; ``request_id`` is the one that it was sent with."""
    call: Any = error
    code = call.code()
    sent = [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]
    metadata: dict[str, str | bytes] = dict(sent)
    answered = metadata.get(REQUEST_ID, request_id)
    if isinstance(answered, str):
        request_id = answered
    details = _Details.of(metadata)
    info = details.first(error_details_pb2.ErrorInfo)
    if info is None or info.domain != _DOMAIN:
        return _silent(code, call.details() or "", request_id, target)
    retry = details.first(error_details_pb2.RetryInfo)
    return _class(code, info.reason)(
        call.details() or "",
        code=code,
        reason=info.reason,
        metadata=info.metadata,
        request_id=request_id,
        retry_after=None if retry is None else retry.retry_delay.ToTimedelta().total_seconds(),
    )._read(details)


def _class(code: grpc.StatusCode, reason: str) -> type[SecretServiceError]:
    if code is grpc.StatusCode.FAILED_PRECONDITION and reason.endswith("IN_USE"):
        return InUse
    if code is grpc.StatusCode.ABORTED and reason == "CHANGED_MEANWHILE":
        return Stale
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and reason.startswith("VAULT_"):
        return VaultThrottled
    if code is grpc.StatusCode.UNAVAILABLE and reason.startswith("VAULT_"):
        return VaultUnavailable
    if code is grpc.StatusCode.UNAVAILABLE and reason.startswith("EDGE_"):
        return EdgeUnavailable
    return _BY_CODE.get(code, SecretServiceError)


def _silent(code: grpc.StatusCode, said: str, request_id: str, target: str) -> SecretServiceError:
    """An error that the service didn't send: the words are ours, what the library said goes to the log."""
    _log.debug("call %s ended with %s: %s", request_id, code.name, said)
    if "metadata from plugin failed" in said:
        return Unauthenticated(
            "The token file can't be read. Check that it is there and readable.",
            code=grpc.StatusCode.UNAUTHENTICATED,
            reason="TOKEN_FILE_UNREADABLE",
            request_id=request_id,
        )
    if code in _BROKEN:
        return ServiceUnreachable(
            _unreachable(said, target),
            code=grpc.StatusCode.UNAVAILABLE,
            reason="SERVICE_UNREACHABLE",
            request_id=request_id,
        )
    message = _SILENT.get(code, "The call failed and the service did not say why. Look in its log.")
    return _BY_CODE.get(code, SecretServiceError)(message, code=code, request_id=request_id)


def _unreachable(said: str, target: str) -> str:
    lowered = said.lower()
    if any(word in lowered for word in ("ssl", "tls", "handshake", "certificate", "peer name")):
        return (
            f"No trusted connection to the service at {target}. "
            "Check the ca, the client certificate, and that the name in the target is in the service's certificate."
        )
    if "failed to connect" in lowered or "resolution" in lowered or "refused" in lowered:
        return f"The service at {target} can't be reached. Check that it runs and that the address is right."
    return (
        f"The connection to the service at {target} broke before it answered. "
        "Whether the call was carried out isn't known; calling again with the same request_id is safe."
    )
