"""The client: every method of the contract with keyword arguments, and what makes them safe to use."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from .._connection import Option, StrPath, plan
from .._convert import (
    duration,
    new_vault_secret,
    read,
    seconds,
    timestamp,
)
from .._convert import (
    references as to_send,
)
from .._errors import (
    REQUEST_ID,
    DeadlineExceeded,
    NotSynced,
    NotSyncedInTime,
    SecretServiceError,
    translate,
)
from .._pages import Page
from .._resume import Resumption, filter_of
from .._types import (
    Added,
    AuditEvent,
    Caller,
    CheckedResource,
    Deleted,
    Encoding,
    Modified,
    NewVaultSecret,
    Origin,
    SecretPurpose,
    SecretReference,
    SecretUsage,
    State,
    SyncedSecret,
    UsedBy,
    Vault,
    VaultSecret,
    VaultSecretVersion,
)
from .._values import Secret, SecretValue, hidden
from .._wire import CallInfo, Sealed, methods
from ..v1 import secret_service_pb2 as pb
from ._io import Channel, close_channel, open_channel, sleep
from ._pager import AsyncPager
from ._watch import AsyncWatch

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
Span = float | timedelta

TIMEOUT = 30.0
"""Seconds that a call may take where neither it nor its client says how long."""


def connect(
    target: str,
    *,
    ca: StrPath | None = None,
    cert: StrPath | None = None,
    key: StrPath | None = None,
    token_file: StrPath | None = None,
    insecure: bool = False,
    server_name: str | None = None,
    timeout: Span = TIMEOUT,
    on_call: Callable[[CallInfo], None] | None = None,
    options: Sequence[Option] = (),
) -> AsyncSecretServiceClient:
    """A client of the service at ``host:port`` or ``unix:/path``. It connects when it is first used.

    The connection is TLS, but on loopback and unix sockets, where it is plaintext unless ``ca`` or ``cert`` is given.

    Args:
        target: Where the service listens.
        ca: PEM file with who signs the service's certificate; the machine's own where left out.
        cert: PEM file with the client's certificate, for mTLS.
        key: PEM file with its private key.
        token_file: File with a Kubernetes service-account token for the audience ``secret-service``; read for every
            call, so that a renewed one counts at once.
        insecure: Plaintext although the service is on another machine.
        server_name: Name in the service's certificate, where the target has another.
        timeout: Seconds that a call may take where it doesn't say.
        on_call: Called with every call that has ended, for logs and metrics; must not block.
        options: More arguments of the gRPC channel.

    """
    connection = plan(
        target,
        ca=ca,
        cert=cert,
        key=key,
        token_file=token_file,
        insecure=insecure,
        server_name=server_name,
        options=options,
    )
    channel = open_channel(connection)
    return AsyncSecretServiceClient(channel, target=target, timeout=timeout, on_call=on_call)


class AsyncSecretServiceClient:
    """The service, as Python.

    Names are those of the contract, ``syncedSecrets/{id}`` and ``vaultSecrets/{id}``. Every call takes a ``timeout`` in
    seconds. Calls that change something carry a ``request_id`` by themselves, so that a retry is the same request;
    give one only to repeat a call of an earlier program. ``wait`` lets the service answer when the edge holds it, or
    after that long. Errors are :class:`SecretServiceError`, by reason.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        target: str = "the channel's target",
        timeout: Span = TIMEOUT,
        on_call: Callable[[CallInfo], None] | None = None,
    ) -> None:
        self._channel = channel
        self._target = target
        self._timeout = seconds(timeout) or TIMEOUT
        self._on_call = on_call
        self._methods = methods(channel)

    async def close(self) -> None:
        """Ends the connection, and every call and watch on it."""
        await close_channel(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # ---- The Key Vault ----

    async def get_vault(self, *, timeout: Span | None = None) -> Vault:
        """The vault that the instance is bound to, and what a check found that is some seconds old at most."""
        request = pb.GetVaultRequest(name="vault")
        return read(Vault, await self._call("GetVault", Sealed(request), timeout))

    def list_vault_secrets(
        self,
        *,
        name_contains: str = "",
        unsynced_only: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncPager[VaultSecret]:
        """The secrets in the vault, without values."""

        async def fetch(token: str) -> Page[VaultSecret]:
            request = pb.ListVaultSecretsRequest(
                page_size=page_size,
                page_token=token,
                name_contains=name_contains,
                unsynced_only=unsynced_only,
            )
            answer = await self._call("ListVaultSecrets", Sealed(request), timeout)
            items = tuple(read(VaultSecret, item) for item in answer.vault_secrets)
            return Page(items, answer.next_page_token)

        return AsyncPager(fetch, page_token)

    async def get_vault_secret(self, name: str, *, timeout: Span | None = None) -> VaultSecret:
        """A secret in the vault, without its value."""
        request = pb.GetVaultSecretRequest(name=name)
        return read(VaultSecret, await self._call("GetVaultSecret", Sealed(request), timeout))

    def list_vault_secret_versions(
        self,
        vault_secret: str,
        *,
        page_size: int = 0,
        page_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncPager[VaultSecretVersion]:
        """The versions of a secret in the vault, without values."""

        async def fetch(token: str) -> Page[VaultSecretVersion]:
            request = pb.ListVaultSecretVersionsRequest(parent=vault_secret, page_size=page_size, page_token=token)
            answer = await self._call("ListVaultSecretVersions", Sealed(request), timeout)
            items = tuple(read(VaultSecretVersion, item) for item in answer.versions)
            return Page(items, answer.next_page_token)

        return AsyncPager(fetch, page_token)

    async def create_vault_secret(
        self,
        id: str,  # noqa: A002 - the contract's word
        value: Secret,
        *,
        content_type: str = "",
        not_before_time: datetime | None = None,
        expire_time: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        encoding: Encoding = Encoding.UNSPECIFIED,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> VaultSecret:
        """Creates a secret in the vault without syncing it; never overwrites one.

        Bytes, such as the file of a certificate, are kept in ``encoding``, hex where it is left out; the tag
        ``file-encoding`` and the content type say so.
        """
        value = hidden(value)
        secret = NewVaultSecret(value, content_type, not_before_time, expire_time, dict(tags or {}), encoding)
        request = Sealed(
            pb.CreateVaultSecretRequest(
                vault_secret_id=id,
                secret=new_vault_secret(secret),
                request_id=_or_new(request_id),
                validate_only=validate_only,
            )
        )
        return read(VaultSecret, await self._call("CreateVaultSecret", request, timeout))

    async def add_vault_secret_version(
        self,
        vault_secret: str,
        value: Secret,
        *,
        content_type: str = "",
        not_before_time: datetime | None = None,
        expire_time: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        encoding: Encoding = Encoding.UNSPECIFIED,
        keep_dates: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> VaultSecretVersion:
        """Adds a new value to a secret in the vault; what follows its latest version is synced again.

        The new version keeps content type and tags of the one before where none are given, and with ``keep_dates``
        its times. Bytes are kept as those before where no ``encoding`` is given.
        """
        value = hidden(value)
        secret = NewVaultSecret(value, content_type, not_before_time, expire_time, dict(tags or {}), encoding)
        request = Sealed(
            pb.AddVaultSecretVersionRequest(
                parent=vault_secret,
                secret=new_vault_secret(secret),
                request_id=_or_new(request_id),
                keep_dates=keep_dates,
            )
        )
        answer = await self._call("AddVaultSecretVersion", request, timeout)
        return read(VaultSecretVersion, answer)

    async def update_vault_secret(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        not_before_time: datetime | None = None,
        expire_time: datetime | None = None,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
        version: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> VaultSecretVersion:
        """Changes what is given of a version, the latest where none is named, and leaves the rest; the value stays."""
        given = {
            "enabled": enabled,
            "not_before_time": not_before_time,
            "expire_time": expire_time,
            "content_type": content_type,
            "tags": tags,
        }
        request = Sealed(
            pb.UpdateVaultSecretRequest(
                vault_secret=pb.VaultSecret(
                    name=name,
                    enabled=bool(enabled),
                    not_before_time=timestamp(not_before_time),
                    expire_time=timestamp(expire_time),
                    content_type=content_type or "",
                    tags=tags,
                ),
                update_mask=FieldMask(paths=[path for path, value in given.items() if value is not None]),
                version=version,
                request_id=_or_new(request_id),
                validate_only=validate_only,
            )
        )
        answer = await self._call("UpdateVaultSecret", request, timeout)
        return read(VaultSecretVersion, answer)

    async def recover_vault_secret(
        self,
        name: str,
        *,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> VaultSecret:
        """Brings a deleted secret back with all its versions, and returns when it is there."""
        request = Sealed(
            pb.RecoverVaultSecretRequest(name=name, request_id=_or_new(request_id), validate_only=validate_only)
        )
        return read(VaultSecret, await self._call("RecoverVaultSecret", request, timeout))

    # ---- Synced secrets at the edge ----

    async def create_synced_secret(
        self,
        id: str,  # noqa: A002 - the contract's word
        references: Iterable[SecretReference],
        *,
        description: str = "",
        secret_type: str = "",
        labels: Mapping[str, str] | None = None,
        purpose: str = "",
        wait: Span | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> SyncedSecret:
        """Creates a synced secret of references made by :func:`existing` and :func:`new`.

        The id is the name of the Kubernetes Secret. With a ``purpose``, the id of a :class:`SecretPurpose`, keys that
        don't fit it are refused.
        """
        request = Sealed(
            pb.CreateSyncedSecretRequest(
                synced_secret_id=id,
                synced_secret=pb.SyncedSecret(
                    description=description,
                    secret_type=secret_type,
                    references=to_send(references),
                    labels=labels,
                ),
                request_id=_or_new(request_id),
                validate_only=validate_only,
                wait=duration(wait),
                purpose=purpose,
            )
        )
        answer = await self._call("CreateSyncedSecret", request, timeout, wait)
        return read(SyncedSecret, answer)

    async def get_synced_secret(self, name: str, *, usages: bool = True, timeout: Span | None = None) -> SyncedSecret:
        """A synced secret, with what uses it unless ``usages`` is false."""
        request = pb.GetSyncedSecretRequest(name=name, view=_view(usages))
        return read(SyncedSecret, await self._call("GetSyncedSecret", Sealed(request), timeout))

    def list_synced_secrets(
        self,
        *,
        states: Iterable[State] = (),
        origin: Origin | None = None,
        name_contains: str = "",
        vault_secret: str = "",
        used_by: UsedBy | None = None,
        labels: Mapping[str, str] | None = None,
        usages: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncPager[SyncedSecret]:
        """The synced secrets for which all that is given holds; with ``usages``, also what uses each."""
        filter_ = filter_of(states, origin, name_contains, vault_secret, used_by, labels)

        async def fetch(token: str) -> Page[SyncedSecret]:
            request = pb.ListSyncedSecretsRequest(
                page_size=page_size, page_token=token, filter=filter_, view=_view(usages)
            )
            answer = await self._call("ListSyncedSecrets", Sealed(request), timeout)
            items = tuple(read(SyncedSecret, item) for item in answer.synced_secrets)
            return Page(items, answer.next_page_token, answer.total_size)

        return AsyncPager(fetch, page_token)

    def watch(
        self,
        *,
        states: Iterable[State] = (),
        origin: Origin | None = None,
        name_contains: str = "",
        vault_secret: str = "",
        used_by: UsedBy | None = None,
        labels: Mapping[str, str] | None = None,
        resume_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncWatch:
        """What a list would show, as :class:`Added`, then a :class:`Bookmark`, then every change.

        It outlives the connection and the service: it goes on where it was and misses nothing. Where the service can't
        go on from there, it says :class:`Restarted` and begins anew. Only a service that can't be reached at the
        beginning is an error at once.
        """
        filter_ = filter_of(states, origin, name_contains, vault_secret, used_by, labels)
        request_id = _new_id()

        def open_(request: Sealed[Any], left: float | None) -> Any:
            return self._methods["WatchSyncedSecrets"](request, timeout=left, metadata=((REQUEST_ID, request_id),))

        def translated(error: Exception) -> SecretServiceError:
            return translate(error, request_id, self._target)

        return AsyncWatch(Resumption(filter_, resume_token), open_, translated, seconds(timeout))

    async def wait_synced(self, name: str, *, timeout: Span = 60.0, through_failures: bool = False) -> SyncedSecret:
        """Waits until the edge holds what was asked for last, and returns what it is then.

        As the service's own ``wait`` does, it ends with the first attempt: where that failed, :class:`NotSynced` says
        why. The service goes on trying, so the cause may pass: ``through_failures`` waits on. After ``timeout`` seconds
        it is a :class:`NotSyncedInTime`, which says what is in the way. What is being deleted is a :class:`NotSynced`
        too, and what isn't there, or no more, a :class:`NotFound`.
        """
        ends = time.monotonic() + (seconds(timeout) or 0.0)
        seen = await self.get_synced_secret(name, usages=False, timeout=timeout)
        if _is_settled(seen, through_failures):
            return _synced(seen)
        try:
            async with self.watch(name_contains=seen.id, timeout=_left(ends)) as events:
                async for event in events:
                    match event:
                        case Added(secret) | Modified(secret) if secret.name == name:
                            seen = secret
                        case Deleted(secret) if secret.name == name:
                            # Says that it isn't there; or what it is, where it was made again.
                            seen = await self.get_synced_secret(name, usages=False, timeout=_left(ends))
                    if _is_settled(seen, through_failures):
                        return _synced(seen)
        except DeadlineExceeded as error:
            raise _not_synced(NotSyncedInTime, seen, error.request_id) from None
        raise _not_synced(NotSyncedInTime, seen, "")

    async def update_synced_secret(
        self,
        name: str | SyncedSecret,
        *,
        references: Iterable[SecretReference] | None = None,
        set_references: Iterable[SecretReference] = (),
        remove_keys: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        etag: str = "",
        any_state: bool = False,
        wait: Span | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> SyncedSecret:
        """Changes what is given, leaves the rest.

        ``references`` replaces all of them. ``set_references`` adds some, or replaces those with the same keys, and
        ``remove_keys`` removes some: all others stay, whatever they are by then, so nobody who does the same at the
        same time is overwritten.

        Hand over what was read instead of its name, and only that state is changed: where it is another by now,
        :class:`Stale`. A bare name without an ``etag`` changes whatever it is now, and ``any_state`` does so with what
        was read.
        """
        name, etag = _guarded(name, etag, any_state)
        if isinstance(remove_keys, str):
            raise TypeError("remove_keys is a list of keys")
        given = {"references": references, "labels": labels, "description": description}
        mask = FieldMask(paths=[path for path, value in given.items() if value is not None])
        request = Sealed(
            pb.UpdateSyncedSecretRequest(
                synced_secret=pb.SyncedSecret(
                    name=name,
                    etag=etag,
                    description=description or "",
                    references=to_send(references or ()),
                    labels=labels,
                ),
                update_mask=mask,
                request_id=_or_new(request_id),
                validate_only=validate_only,
                wait=duration(wait),
                set_references=to_send(set_references),
                remove_keys=remove_keys,
            )
        )
        answer = await self._call("UpdateSyncedSecret", request, timeout, wait)
        return read(SyncedSecret, answer)

    async def delete_synced_secret(
        self,
        name: str | SyncedSecret,
        *,
        etag: str = "",
        any_state: bool = False,
        force: bool = False,
        allow_missing: bool = False,
        wait: Span | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> SyncedSecret:
        """Deletes from the edge, never from the vault. While something uses it: :class:`InUse`, unless ``force``.

        Hand over what was read instead of its name, and only that state is deleted: where it is another by now,
        :class:`Stale`. A bare name without an ``etag`` deletes whatever it is now, and ``any_state`` does so with what
        was read.
        """
        name, etag = _guarded(name, etag, any_state)
        request = pb.DeleteSyncedSecretRequest(
            name=name,
            etag=etag,
            force=force,
            allow_missing=allow_missing,
            request_id=_or_new(request_id),
            validate_only=validate_only,
            wait=duration(wait),
        )
        answer = await self._call("DeleteSyncedSecret", Sealed(request), timeout, wait)
        return read(SyncedSecret, answer)

    async def sync_synced_secret(
        self, name: str, *, wait: Span | None = None, timeout: Span | None = None
    ) -> SyncedSecret:
        """Syncs all its references now, without waiting for the next look at the vault."""
        request = pb.SyncSyncedSecretRequest(name=name, wait=duration(wait))
        answer = await self._call("SyncSyncedSecret", Sealed(request), timeout, wait)
        return read(SyncedSecret, answer)

    async def adopt_synced_secret(
        self,
        name: str,
        references: Iterable[SecretReference] = (),
        *,
        validate_only: bool = False,
        request_id: str | None = None,
        timeout: Span | None = None,
    ) -> SyncedSecret:
        """Takes over a Kubernetes Secret that another tool made, so that it is managed here.

        It does not wait for the edge: :meth:`wait_synced` does.
        """
        request = Sealed(
            pb.AdoptSyncedSecretRequest(
                name=name,
                references=to_send(references),
                validate_only=validate_only,
                request_id=_or_new(request_id),
            )
        )
        return read(SyncedSecret, await self._call("AdoptSyncedSecret", request, timeout))

    def list_secret_usages(
        self,
        name: str = "syncedSecrets/-",
        *,
        page_size: int = 0,
        page_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncPager[SecretUsage]:
        """What uses a synced secret, or any: one row for each field that names it, the broken ones included."""

        async def fetch(token: str) -> Page[SecretUsage]:
            request = pb.ListSecretUsagesRequest(parent=name, page_size=page_size, page_token=token)
            answer = await self._call("ListSecretUsages", Sealed(request), timeout)
            items = tuple(read(SecretUsage, item) for item in answer.usages)
            return Page(items, answer.next_page_token, unreachable=tuple(answer.unreachable))

        return AsyncPager(fetch, page_token)

    async def check_resource(
        self, manifest: str | SecretValue, *, timeout: Span | None = None
    ) -> tuple[CheckedResource, ...]:
        """What the resources of a manifest, YAML or JSON, need from secrets, before they are applied.

        Where a resource's ``can_work`` is false, a secret or key is missing, expired, or not usable otherwise.
        """
        request = Sealed(pb.CheckResourceRequest(manifest=SecretValue(manifest).reveal()))
        answer = await self._call("CheckResource", request, timeout)
        return tuple(read(CheckedResource, item) for item in answer.resources)

    def list_secret_purposes(
        self, *, page_size: int = 0, page_token: str = "", timeout: Span | None = None
    ) -> AsyncPager[SecretPurpose]:
        """What a synced secret can be for: the keys that each purpose needs, and the fields that can name it."""

        async def fetch(token: str) -> Page[SecretPurpose]:
            request = pb.ListSecretPurposesRequest(page_size=page_size, page_token=token)
            answer = await self._call("ListSecretPurposes", Sealed(request), timeout)
            items = tuple(read(SecretPurpose, item) for item in answer.purposes)
            return Page(items, answer.next_page_token)

        return AsyncPager(fetch, page_token)

    # ---- History ----

    def list_audit_events(
        self,
        *,
        resource: str = "",
        actor: str = "",
        action: str = "",
        outcome: str = "",
        failed_only: bool = False,
        since_time: datetime | None = None,
        until_time: datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout: Span | None = None,
    ) -> AsyncPager[AuditEvent]:
        """Who did what, when, with which result; newest first, and only that for which all that is given holds.

        ``resource`` is a full name. Texts are compared exactly with those of the events.
        """

        async def fetch(token: str) -> Page[AuditEvent]:
            request = pb.ListAuditEventsRequest(
                page_size=page_size,
                page_token=token,
                resource=resource,
                actor=actor,
                action=action,
                outcome=outcome,
                failed_only=failed_only,
                since_time=timestamp(since_time),
                until_time=timestamp(until_time),
            )
            answer = await self._call("ListAuditEvents", Sealed(request), timeout)
            items = tuple(read(AuditEvent, item) for item in answer.audit_events)
            return Page(items, answer.next_page_token)

        return AsyncPager(fetch, page_token)

    # ---- The caller ----

    async def get_caller(self, *, resource: str = "", timeout: Span | None = None) -> Caller:
        """Who the caller is and which methods they may call, for every name or for one resource, and why not others."""
        request = Sealed(pb.GetCallerRequest(name="caller", resource=resource))
        return read(Caller, await self._call("GetCaller", request, timeout))

    # ---- The way of every call ----

    async def _call(
        self,
        method: str,
        request: Sealed[Any],
        timeout: Span | None,
        wait: Span | None = None,
    ) -> Any:
        """Calls, and calls again while an earlier attempt of the same request is still being carried out."""
        allowed = seconds(timeout)
        if allowed is None:
            allowed = self._timeout + (seconds(wait) or 0.0)
        ends = time.monotonic() + allowed
        while True:
            try:
                return await self._attempt(method, request, ends - time.monotonic())
            except SecretServiceError as error:
                pause = error.retry_after or 1.0
                if error.reason != "REQUEST_IN_PROGRESS" or time.monotonic() + pause >= ends:
                    raise
            await sleep(pause)

    async def _attempt(self, method: str, request: Sealed[Any], timeout: float) -> Any:
        request_id, began = _new_id(), time.monotonic()
        code = grpc.StatusCode.OK
        try:
            return await self._methods[method](request, timeout=timeout, metadata=((REQUEST_ID, request_id),))
        except grpc.RpcError as failed:
            error = translate(failed, request_id, self._target)
            code = error.code
            # What the library knows more is its own matter.
            raise error from None
        finally:
            if self._on_call is not None:
                self._on_call(CallInfo(method, request_id, code, time.monotonic() - began))


def _view(usages: bool) -> pb.SyncedSecretView.ValueType:
    return pb.SYNCED_SECRET_VIEW_FULL if usages else pb.SYNCED_SECRET_VIEW_BASIC


def _new_id() -> str:
    return str(uuid.uuid4())


def _or_new(request_id: str | None) -> str:
    return _new_id() if request_id is None else request_id


def _guarded(target: str | SyncedSecret, etag: str, any_state: bool) -> tuple[str, str]:
    """The name and the etag to send: the one that was given, else that of what was read; none for any state."""
    if etag and any_state:
        raise ValueError("an etag and any_state exclude each other: say which state may be changed, or that any may")
    if isinstance(target, str):
        return target, etag
    return target.name, "" if any_state else etag or target.etag


def _left(ends: float) -> float:
    return max(0.001, ends - time.monotonic())


def _is_settled(seen: SyncedSecret, through_failures: bool) -> bool:
    """Whether waiting is over, because it is at the edge, the attempt failed, or it is on its way out."""
    failed = seen.state in (State.FAILED, State.DEGRADED)
    return seen.is_synced or seen.state is State.DELETING or (failed and not through_failures)


def _synced(seen: SyncedSecret) -> SyncedSecret:
    """What is at the edge; raises what says why where it isn't."""
    if seen.is_synced:
        return seen
    raise _not_synced(NotSynced, seen, "")


def _not_synced(kind: type[NotSynced], seen: SyncedSecret, request_id: str) -> NotSynced:
    condition = seen.condition("Synced")
    why = condition.message if condition is not None else "Wait longer, or look at its conditions."
    in_time = issubclass(kind, TimeoutError)
    what = "was not synced in time" if in_time else "is not synced"
    error = kind(
        f"{seen.name} {what}, its state is {seen.state}. {why}",
        code=grpc.StatusCode.DEADLINE_EXCEEDED if in_time else grpc.StatusCode.FAILED_PRECONDITION,
        reason=condition.reason if condition is not None else "",
        metadata={"resource": seen.name},
        request_id=request_id,
    )
    error.synced_secret = seen
    return error
