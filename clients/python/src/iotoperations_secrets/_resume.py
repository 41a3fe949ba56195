"""What a watch decides when something comes or the stream breaks; knows neither threads nor tasks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from . import _types
from ._convert import read
from ._errors import InvalidRequest, OutOfRange, ResourceExhausted, SecretServiceError, Unavailable
from ._types import Added, Bookmark, Deleted, Modified, Restarted, SyncedSecret, WatchEvent
from ._wire import Sealed
from .v1 import secret_service_pb2 as pb

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

_EVENTS: Mapping[int, type[Added | Modified | Deleted]] = {
    pb.WatchSyncedSecretsResponse.TYPE_ADDED: Added,
    pb.WatchSyncedSecretsResponse.TYPE_MODIFIED: Modified,
    pb.WatchSyncedSecretsResponse.TYPE_DELETED: Deleted,
}


class Resumption:
    """Where a watch is, and how it goes on."""

    def __init__(self, filter_: pb.SyncedSecretFilter, resume_token: str) -> None:
        self._filter = filter_
        self._token = resume_token
        self._token_is_ours = False
        self._connected = False
        """Whether this watch has ever heard from the service."""
        self._told = False
        """Whether the caller knows anything that a new beginning would make wrong."""
        self._restarted = False
        self._failures = 0

    @property
    def resume_token(self) -> str:
        """From where another watch would go on; empty while the initial state is not complete."""
        return self._token

    def request(self) -> Sealed[pb.WatchSyncedSecretsRequest]:
        """What to ask for now."""
        if not self._token and self._told:
            self._begin_anew()
        return Sealed(pb.WatchSyncedSecretsRequest(filter=self._filter, resume_token=self._token))

    def restarted(self) -> Restarted | None:
        """What the caller must hear before anything else, once."""
        if not self._restarted:
            return None
        self._restarted = False
        return Restarted()

    def received(self, response: pb.WatchSyncedSecretsResponse) -> WatchEvent | None:
        """The event of a response; nothing for a kind that this release doesn't know."""
        self._connected, self._failures = True, 0
        if response.resume_token:
            self._token, self._token_is_ours = response.resume_token, True
        if response.type == pb.WatchSyncedSecretsResponse.TYPE_BOOKMARK:
            return Bookmark(response.resume_token)
        event = _EVENTS.get(response.type)
        if event is None:
            return None
        self._told = True
        return event(read(SyncedSecret, response.synced_secret), response.resume_token)

    def broken(self, error: SecretServiceError | None) -> float:
        """Seconds until the next attempt after the stream ended; raises what no attempt mends."""
        if error is not None and self._is_lost(error):
            self._begin_anew()
            return 0.0
        if error is not None and not (self._connected and _is_passing(error)):
            raise error
        self._failures += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10))
        asked = 0.0 if error is None else min(error.retry_after or 0.0, _LONGEST_PAUSE)
        # Spread, because a restart breaks every watch at once.
        return max(asked, pause * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrecy

    def _begin_anew(self) -> None:
        self._token, self._token_is_ours, self._told, self._restarted = "", False, False, True

    def _is_lost(self, error: SecretServiceError) -> bool:
        """Whether the service can't go on from our token: too old, or of a database that is no more."""
        if not self._token:
            return False
        if isinstance(error, OutOfRange):
            return True
        refused = isinstance(error, InvalidRequest) and any(
            violation.field == "resume_token" for violation in error.violations
        )
        return refused and self._token_is_ours


def filter_of(
    states: Iterable[_types.State],
    origin: _types.Origin | None,
    name_contains: str,
    vault_secret: str,
    used_by: _types.UsedBy | None,
    labels: Mapping[str, str] | None,
) -> pb.SyncedSecretFilter:
    """The filter of a list or a watch."""
    users = None
    if used_by is not None:
        users = pb.SyncedSecretFilter.UsedBy(kind=used_by.kind, resource=used_by.resource, unused=used_by.unused)
    return pb.SyncedSecretFilter(
        states=[pb.SyncedSecret.State.ValueType(state.value) for state in states],
        origin=pb.SyncedSecret.Origin.ValueType(0 if origin is None else origin.value),
        name_contains=name_contains,
        vault_secret=vault_secret,
        used_by=users,
        labels=labels,
    )


def _is_passing(error: SecretServiceError) -> bool:
    return isinstance(error, Unavailable | ResourceExhausted)
