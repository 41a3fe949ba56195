"""Watches: they outlive the service, go on where they were, and say so where they can't."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import grpc
import pytest

from iotoperations_secrets import (
    Added,
    Bookmark,
    Deleted,
    InvalidRequest,
    Modified,
    PermissionDenied,
    Restarted,
    SecretServiceClient,
    ServiceUnreachable,
    WatchEvent,
    aio,
    connect,
    existing,
)

from .fake import Fake, Refusal, event, violations
from .service import Service, free_port

VAULT_SECRET = "vaultSecrets/historian-token"  # noqa: S105 - its name


def create(client: SecretServiceClient, *ids: str) -> None:
    for id_ in ids:
        client.create_synced_secret(id_, [existing("k", VAULT_SECRET)], wait=10)


def until_bookmark(events: Iterator[WatchEvent]) -> list[WatchEvent]:
    seen: list[WatchEvent] = []
    while not seen or not isinstance(seen[-1], Bookmark):
        seen.append(next(events))
    return seen


def test_a_watch_survives_kills_of_the_service_and_misses_nothing(own_service: Service) -> None:
    with connect(own_service.target) as client, connect(own_service.target) as other:
        create(other, "before", "doomed")
        with client.watch(timeout=60) as events:
            first = until_bookmark(events)
            assert {e.synced_secret.id for e in first if isinstance(e, Added)} == {"before", "doomed"}
            known: dict[str, int] = {}
            for turn in range(3):
                # Changes that the watch has not read yet when the service is killed, and others before it is back.
                create(other, f"turn-{turn}")
                own_service.kill()
                own_service.start()
                other.update_synced_secret("syncedSecrets/before", description=f"turn {turn}", wait=10)
                if turn == 2:
                    other.delete_synced_secret("syncedSecrets/doomed", wait=10)
            gone = False
            while not (gone and len(known) == 4 and known["before"] == 4):
                match next(events):
                    case Added(secret) | Modified(secret):
                        known[secret.id] = secret.generation
                    case Deleted(secret):
                        gone = secret.id == "doomed"
                    case Restarted():
                        pytest.fail("it could go on from its token")
                known.pop("doomed", None) if gone else None
            assert set(known) == {"before", "turn-0", "turn-1", "turn-2"}


def test_a_watch_for_asyncio_survives_a_kill_of_the_service(own_service: Service) -> None:
    async def main() -> None:
        async with aio.connect(own_service.target) as client, client.watch(timeout=60) as events:
            assert isinstance(await anext(events), Bookmark)
            own_service.kill()
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.to_thread(own_service.start)
            await client.create_synced_secret("later", [existing("k", VAULT_SECRET)])
            seen = await waiting
            while not isinstance(seen, Added):
                assert isinstance(seen, Bookmark)
                seen = await anext(events)
            assert seen.synced_secret.id == "later"

    asyncio.run(main())


def test_whoever_stops_waiting_for_an_event_can_wait_again(service: Service, run: str) -> None:
    async def main() -> None:
        async with (
            aio.connect(service.target) as client,
            client.watch(name_contains=run, timeout=60) as events,
        ):
            assert isinstance(await anext(events), Bookmark)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(events), 0.3)
            await client.create_synced_secret(f"w-{run}", [existing("k", VAULT_SECRET)])
            while not isinstance(seen := await anext(events), Added):
                assert isinstance(seen, Bookmark)
            assert seen.synced_secret.id == f"w-{run}"
            closer = asyncio.get_running_loop().call_later(0.3, events.close)
            assert [e async for e in events if isinstance(e, Restarted)] == []
            closer.cancel()

    asyncio.run(main())


def test_a_token_that_is_too_old_begins_anew_and_says_so(fake: Fake) -> None:
    lost = Refusal(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_OUT_OF_RANGE")
    gone = Refusal(grpc.StatusCode.UNAVAILABLE, "STOPPING")
    fake.answers = [
        [event("ADDED", "a"), event("BOOKMARK", token="1"), gone],  # noqa: S106
        lost,
        [event("ADDED", "b"), event("BOOKMARK", token="2")],  # noqa: S106
    ]
    assert names(fake, 5) == ["a", "Bookmark", "Restarted", "b", "Bookmark"]
    assert [request.resume_token for request in fake.asked[:3]] == ["", "1", ""]


def test_a_token_of_a_database_that_is_no_more_begins_anew_but_a_callers_bad_one_is_an_error(fake: Fake) -> None:
    refused = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", violations("resume_token"))
    fake.answers = [[event("BOOKMARK", token="1")], refused, [event("BOOKMARK", token="2")]]  # noqa: S106
    assert names(fake, 3) == ["Bookmark", "Restarted", "Bookmark"]
    fake.answers = [refused]
    with connect(fake.target) as client, pytest.raises(InvalidRequest):
        next(client.watch(resume_token="forged"))  # noqa: S106


def test_a_break_in_the_middle_of_the_initial_state_begins_anew_and_says_so(fake: Fake) -> None:
    broken = Refusal(grpc.StatusCode.UNAVAILABLE, "STOPPING")
    fake.answers = [[event("ADDED", "a"), broken], [event("ADDED", "b"), event("BOOKMARK", token="1")]]  # noqa: S106
    assert names(fake, 4) == ["a", "Restarted", "b", "Bookmark"]


def test_what_no_reconnecting_mends_ends_it(fake: Fake) -> None:
    fake.answers = [
        [event("BOOKMARK", token="1"), Refusal(grpc.StatusCode.PERMISSION_DENIED, "CALLER_FORBIDDEN")]  # noqa: S106
    ]
    with connect(fake.target) as client, client.watch() as events:
        next(events)
        with pytest.raises(PermissionDenied):
            next(events)


def test_kinds_of_events_that_this_release_does_not_know_are_skipped(fake: Fake) -> None:
    unknown = event("BOOKMARK", token="1")  # noqa: S106
    unknown.type = 99  # type: ignore[assignment]
    fake.answers = [[unknown, event("ADDED", "a", "2")]]
    assert names(fake, 1) == ["a"]


def test_a_service_that_was_never_there_is_an_error_at_once() -> None:
    with connect(f"127.0.0.1:{free_port()}") as client, pytest.raises(ServiceUnreachable):
        next(client.watch())


def test_close_from_another_thread_ends_a_watch_that_waits(client: SecretServiceClient, run: str) -> None:
    with client.watch(name_contains=run) as events:
        next(events)
        threading.Timer(0.3, events.close).start()
        assert [e for e in events if not isinstance(e, Bookmark)] == []


def test_the_next_program_goes_on_from_a_token_that_was_kept(client: SecretServiceClient, run: str) -> None:
    with client.watch(name_contains=run) as events:
        until_bookmark(events)
        token = events.resume_token
    create(client, f"kept-{run}")
    with client.watch(name_contains=run, resume_token=token) as events:
        assert any(isinstance(e, Added) for e in until_bookmark(events))


def names(fake: Fake, count: int) -> list[str]:
    with connect(fake.target) as client, client.watch(timeout=30) as events:
        return [name(next(events)) for _ in range(count)]


def name(seen: WatchEvent) -> str:
    return seen.synced_secret.id if isinstance(seen, Added | Modified | Deleted) else type(seen).__name__
