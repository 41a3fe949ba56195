"""Between the messages of the contract and the dataclasses: read by the contract's own description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from . import _types
from ._values import SecretData, SecretValue
from .v1 import secret_service_pb2 as pb

T = TypeVar("T")

_PACKAGE = "iotoperations.secrets.v1."
_TIMESTAMP = "google.protobuf.Timestamp"
_CLASSES: Mapping[str, type[Any]] = {
    _PACKAGE + cls.__name__: cls
    for cls in (
        _types.AuditEvent,
        _types.Caller,
        _types.CertificateFacts,
        _types.CheckedResource,
        _types.CheckedUsage,
        _types.Condition,
        _types.MethodPermission,
        _types.PurposeField,
        _types.PurposeKey,
        _types.SecretPurpose,
        _types.SecretReference,
        _types.SecretUsage,
        _types.SyncedSecret,
        _types.Vault,
        _types.VaultSecret,
        _types.VaultSecretVersion,
    )
}
_ENUMS: Mapping[str, type[Any]] = {
    _PACKAGE + "SyncEngine": _types.SyncEngine,
    _PACKAGE + "SyncedSecret.State": _types.State,
    _PACKAGE + "SyncedSecret.Origin": _types.Origin,
    _PACKAGE + "SecretReference.Encoding": _types.Encoding,
    _PACKAGE + "SecretReference.Part": _types.Part,
    _PACKAGE + "Condition.Status": _types.ConditionStatus,
    _PACKAGE + "Caller.Authentication": _types.Authentication,
    _PACKAGE + "MethodPermission.Access": _types.Access,
}


def read(cls: type[T], message: Message) -> T:
    """A message as its dataclass; fields that this release doesn't know are skipped."""
    described = message.DESCRIPTOR.fields_by_name
    known = {field.name: described.get(field.name) for field in fields(cls)}  # type: ignore[arg-type]
    values = {name: _value(message, field) for name, field in known.items() if field is not None}
    return cls(**values)


def _value(message: Message, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if _is_repeated(field):
        return tuple(_single(field, item) for item in value)
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _ENUMS[field.enum_type.full_name](value)
    if field.message_type is None:
        return value
    if field.message_type.full_name == _TIMESTAMP:
        return value.ToDatetime(tzinfo=timezone.utc)
    cls = _CLASSES.get(field.message_type.full_name)
    # The one message without a class to read is the one that is only ever sent.
    return read(cls, value) if cls is not None else None


def _is_repeated(field: FieldDescriptor) -> bool:
    """What older releases of protobuf call a label."""
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def references(given: Iterable[_types.SecretReference]) -> list[pb.SecretReference]:
    """References to send: what is only ever received stays here."""
    return [
        pb.SecretReference(
            key=reference.key,
            vault_secret=reference.vault_secret,
            version=reference.version,
            encoding=pb.SecretReference.Encoding.ValueType(reference.encoding.value),
            part=pb.SecretReference.Part.ValueType(reference.part.value),
            create=None if reference.create is None else new_vault_secret(reference.create),
        )
        for reference in given
    ]


def new_vault_secret(given: _types.NewVaultSecret) -> pb.NewVaultSecret:
    """What "Create new" stores, the value included."""
    return pb.NewVaultSecret(
        value=given.value.reveal() if isinstance(given.value, SecretValue) else "",
        data=given.value.reveal() if isinstance(given.value, SecretData) else b"",
        content_type=given.content_type,
        not_before_time=timestamp(given.not_before_time),
        expire_time=timestamp(given.expire_time),
        tags=given.tags,
        encoding=pb.SecretReference.Encoding.ValueType(given.encoding.value),
    )


def timestamp(given: datetime | None) -> Timestamp | None:
    """A moment; a datetime without a zone is refused, because it doesn't say which moment it is."""
    if given is None:
        return None
    if given.tzinfo is None:
        raise ValueError("a time needs a zone, for example datetime(…, tzinfo=timezone.utc)")
    message = Timestamp()
    message.FromDatetime(given)
    return message


def seconds(given: float | timedelta | None) -> float | None:
    """A span of time in seconds."""
    return given.total_seconds() if isinstance(given, timedelta) else given


def duration(given: float | timedelta | None) -> Duration | None:
    """A span of time as a message."""
    if given is None:
        return None
    message = Duration()
    message.FromTimedelta(given if isinstance(given, timedelta) else timedelta(seconds=given))
    return message
