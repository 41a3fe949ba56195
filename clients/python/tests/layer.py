"""Calls of the contract in JSON, made through the client, and its dataclasses as JSON again."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from google.protobuf.json_format import ParseDict

import iotoperations_secrets as secrets
from iotoperations_secrets.v1 import secret_service_pb2 as pb

# The answers' lists, by method: the client hands out the items.
LISTS = {
    "ListVaultSecrets": "vaultSecrets",
    "ListVaultSecretVersions": "versions",
    "ListSyncedSecrets": "syncedSecrets",
    "ListSecretUsages": "usages",
    "ListSecretPurposes": "purposes",
    "ListAuditEvents": "auditEvents",
}
PREFIXES: Mapping[type[enum.Enum], str] = {
    secrets.SyncEngine: "SYNC_ENGINE",
    secrets.State: "STATE",
    secrets.Origin: "ORIGIN",
    secrets.Encoding: "ENCODING",
    secrets.Part: "PART",
    secrets.ConditionStatus: "STATUS",
    secrets.Authentication: "AUTHENTICATION",
    secrets.Access: "ACCESS",
}


def arguments(method: str, request: Any) -> tuple[str, dict[str, Any]]:
    """The client's method and arguments for a request."""
    message = ParseDict(request, getattr(pb, f"{method}Request")())
    given = {field.name: _plain(value) for field, value in message.ListFields()}
    for whole in ("synced_secret", "filter", "secret", "vault_secret"):
        # The client takes the parts of these as arguments of their own.
        if isinstance(given.get(whole), dict):
            given |= given.pop(whole)
    for bare in ("vault_secret_id", "synced_secret_id"):
        if bare in given:
            given["id"] = given.pop(bare)
    if "parent" in given:
        parent = given.pop("parent")
        given["vault_secret" if method.endswith(("Version", "Versions")) else "name"] = parent
    mask = given.pop("update_mask", None)
    if mask is not None:
        given = {key: value for key, value in given.items() if key not in CHANGEABLE or key in mask}
    for list_ in ("references", "set_references"):
        if list_ in given:
            given[list_] = [_reference(reference) for reference in given[list_]]
    if method in ("CreateVaultSecret", "AddVaultSecretVersion"):
        given = _value(given)
    if method in ("GetVault", "GetCaller"):
        given.pop("name", None)
    return _snake(method), given


CHANGEABLE = (
    "references",
    "labels",
    "description",
    "enabled",
    "not_before_time",
    "expire_time",
    "content_type",
    "tags",
)


def outcome(method: str, answer: Any) -> dict[str, Any]:
    """An answer of the client as the contract's JSON."""
    if method == "CheckResource":
        return {"response": {"resources": to_json(answer)}}
    if method not in LISTS:
        return {"response": to_json(answer)}
    found: dict[str, Any] = {LISTS[method]: [to_json(item) for item in answer.items]}
    found["nextPageToken"] = answer.next_page_token
    if answer.total_size is not None:
        found["totalSize"] = answer.total_size
    return {"response": found}


def error(found: secrets.SecretServiceError) -> dict[str, Any]:
    """An exception of the client as the scenario describes errors."""
    fields = [violation.field for violation in found.field_violations]
    return {"error": {"code": found.code.name, "reason": found.reason, "fields": fields}}


def call_with(client: secrets.SecretServiceClient) -> Callable[[str, Any], dict[str, Any]]:
    """For the scenario: calls through the client."""

    def call(method: str, request: Any) -> dict[str, Any]:
        name, given = arguments(method, request)
        try:
            answer = getattr(client, name)(**given)
            return outcome(method, next(answer.pages()) if method in LISTS else answer)
        except secrets.SecretServiceError as refusal:
            return error(refusal)

    return call


def call_with_aio(client: secrets.aio.SecretServiceClient, run: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """For the scenario: calls through the client for asyncio; ``run`` awaits."""

    async def made(method: str, request: Any) -> dict[str, Any]:
        name, given = arguments(method, request)
        try:
            answer = getattr(client, name)(**given)
            found = await anext(answer.pages()) if method in LISTS else await answer
            return outcome(method, found)
        except secrets.SecretServiceError as refusal:
            return error(refusal)

    return lambda method, request: run(made(method, request))


def to_json(value: Any) -> Any:
    """Proto3 JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return f"{PREFIXES[type(value)]}_{value.name}"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _reference(given: dict[str, Any]) -> secrets.SecretReference:
    create = given.pop("create", None)
    if "encoding" in given:
        given["encoding"] = secrets.Encoding(given["encoding"])
    if "part" in given:
        given["part"] = secrets.Part(given["part"])
    if create is None:
        return secrets.existing(**given)
    create = _value(create)
    if "encoding" in create:
        create["stored_encoding"] = create.pop("encoding")
    return secrets.new(**given, **create)


def _value(given: dict[str, Any]) -> dict[str, Any]:
    """What is to be stored: the client takes bytes in the place of a text."""
    if "data" in given:
        given["value"] = given.pop("data")
    if "encoding" in given:
        given["encoding"] = secrets.Encoding(given["encoding"])
    return given


def _plain(value: Any) -> Any:
    """A part of a message as what the client takes."""
    if hasattr(value, "ToTimedelta"):
        return value.ToTimedelta()
    if hasattr(value, "ToDatetime"):
        return value.ToDatetime(tzinfo=timezone.utc)
    if hasattr(value, "paths"):
        return list(value.paths)
    if hasattr(value, "ListFields"):
        return {field.name: _plain(part) for field, part in value.ListFields()}
    if hasattr(value, "items"):
        return dict(value)
    if hasattr(value, "append"):
        return [_plain(item) for item in value]
    return value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def methods_of(client: type[Any]) -> set[str]:
    """The public methods."""
    return {name for name, _ in inspect.getmembers(client, callable) if not name.startswith("_")}
