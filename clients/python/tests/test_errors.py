"""Errors by reason, in words for people, without a word of the library beneath."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback

import grpc
import pytest
from google.rpc import error_details_pb2

import iotoperations_secrets as secrets
from iotoperations_secrets import SecretServiceError, connect, existing, new
from iotoperations_secrets.v1 import secret_service_pb2 as pb

from .fake import Fake, Refusal, violations
from .service import Service, free_port

CODE = grpc.StatusCode
INTERNALS = ("grpc", "rpc", "ipv4", "socket", "stream", "rst_", "channel", "errno", "stack", "debug_error", "0x")


def refusal(fake: Fake, refused: Refusal) -> SecretServiceError:
    fake.answers = [refused]
    with connect(fake.target) as client, pytest.raises(SecretServiceError) as caught:
        client.get_synced_secret("syncedSecrets/a")
    return caught.value


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (CODE.NOT_FOUND, "SYNCED_SECRET_NOT_FOUND", secrets.NotFound),
        (CODE.ALREADY_EXISTS, "SYNCED_SECRET_EXISTS", secrets.AlreadyExists),
        (CODE.INVALID_ARGUMENT, "INVALID_FIELD", secrets.InvalidRequest),
        (CODE.FAILED_PRECONDITION, "VAULT_SECRET_DISABLED", secrets.FailedPrecondition),
        (CODE.FAILED_PRECONDITION, "SYNCED_SECRET_IN_USE", secrets.InUse),
        (CODE.ABORTED, "CHANGED_MEANWHILE", secrets.Stale),
        (CODE.ABORTED, "EDGE_CHANGED", secrets.Aborted),
        (CODE.OUT_OF_RANGE, "RESUME_TOKEN_OUT_OF_RANGE", secrets.OutOfRange),
        (CODE.RESOURCE_EXHAUSTED, "VAULT_THROTTLED", secrets.VaultThrottled),
        (CODE.RESOURCE_EXHAUSTED, "DATABASE_FULL", secrets.ResourceExhausted),
        (CODE.UNAVAILABLE, "VAULT_UNREACHABLE", secrets.VaultUnavailable),
        (CODE.UNAVAILABLE, "EDGE_UNREACHABLE", secrets.EdgeUnavailable),
        (CODE.UNAVAILABLE, "STOPPING", secrets.Unavailable),
        (CODE.PERMISSION_DENIED, "VAULT_FORBIDDEN", secrets.PermissionDenied),
        (CODE.UNAUTHENTICATED, "NO_CREDENTIALS", secrets.Unauthenticated),
        (CODE.UNIMPLEMENTED, "NOT_IN_THIS_BUILD", secrets.Unimplemented),
        (CODE.INTERNAL, "DATABASE_FAILED", SecretServiceError),
    ],
)
def test_every_reason_has_its_exception(fake: Fake, code: CODE, reason: str, kind: type[SecretServiceError]) -> None:
    error = refusal(fake, Refusal(code, reason, retry_after=7))
    assert type(error) is kind
    assert (error.code, error.reason, error.retry_after) == (code, reason, 7.0)
    assert (error.message, error.resource) == ("It is so. Do something.", "syncedSecrets/a")
    assert error.request_id in str(error)


def test_what_is_wrong_and_who_uses_it_is_in_the_exception(fake: Fake) -> None:
    invalid = refusal(fake, Refusal(CODE.INVALID_ARGUMENT, "INVALID_FIELD", violations("a", "b")))
    assert isinstance(invalid, secrets.InvalidRequest)
    assert [violation.field for violation in invalid.violations] == ["a", "b"]
    used = error_details_pb2.PreconditionFailure(
        violations=[
            error_details_pb2.PreconditionFailure.Violation(type="IN_USE", subject="Asset/pump", description="spec.x")
        ]
    )
    in_use = refusal(fake, Refusal(CODE.FAILED_PRECONDITION, "SYNCED_SECRET_IN_USE", used))
    assert isinstance(in_use, secrets.InUse)
    assert [(usage.subject, usage.description) for usage in in_use.usages] == [("Asset/pump", "spec.x")]


def test_the_request_id_is_the_one_in_the_services_log(own_service: Service) -> None:
    with connect(own_service.target) as client, pytest.raises(secrets.NotFound) as caught:
        client.get_synced_secret("syncedSecrets/nowhere")
    assert caught.value.request_id
    # The service writes its log apart from its answers.
    deadline = time.monotonic() + 5
    while caught.value.request_id not in own_service.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert caught.value.request_id in own_service.log()


def test_killing_the_service_in_the_middle_of_a_call_gives_a_typed_error(own_service: Service) -> None:
    own_service.kill()
    own_service.start("--vault-latency-ms=5000")
    threading.Timer(1.0, own_service.kill).start()
    with connect(own_service.target) as client, pytest.raises(secrets.ServiceUnreachable) as caught:
        client.list_vault_secrets().pages().__next__()
    assert_for_people(caught.value)


def test_killing_the_service_in_the_middle_of_a_call_gives_a_typed_error_in_asyncio(own_service: Service) -> None:
    own_service.kill()
    own_service.start("--vault-latency-ms=5000")

    async def main() -> None:
        async with aio_client(own_service) as client:
            with pytest.raises(secrets.ServiceUnreachable) as caught:
                await client.get_vault()
            assert_for_people(caught.value)

    threading.Timer(1.0, own_service.kill).start()
    asyncio.run(main())


def aio_client(service: Service) -> secrets.aio.SecretServiceClient:
    return secrets.aio.connect(service.target)


def test_nobody_there_and_no_time_left_are_said_in_words_for_people(own_service: Service) -> None:
    with connect(f"127.0.0.1:{free_port()}") as client, pytest.raises(secrets.ServiceUnreachable) as caught:
        client.get_vault()
    assert_for_people(caught.value)
    own_service.kill()
    own_service.start("--vault-latency-ms=5000")
    with connect(own_service.target) as client, pytest.raises(secrets.DeadlineExceeded) as late:
        client.get_vault(timeout=0.3)
    assert isinstance(late.value, TimeoutError)
    assert_for_people(late.value)


def assert_for_people(error: SecretServiceError) -> None:
    printed = "".join(traceback.format_exception(error))
    assert error.__suppress_context__
    assert error.__cause__ is None
    assert not [word for word in INTERNALS if word in str(error).lower()], str(error)
    assert "_InactiveRpcError" not in printed
    assert "AioRpcError" not in printed
    assert error.request_id


def test_what_is_unavailable_for_a_moment_is_tried_again_as_the_same_request(fake: Fake) -> None:
    away = Refusal(CODE.UNAVAILABLE, "VAULT_UNREACHABLE")
    fake.answers = [away, away, pb.SyncedSecret(name="syncedSecrets/a")]
    with connect(fake.target) as client:
        assert client.create_synced_secret("a", [existing("k", "vaultSecrets/v")]).id == "a"
        client.delete_synced_secret("syncedSecrets/a")
    first, *again, other = fake.asked
    assert len(again) == 2
    assert first.request_id
    assert all(request == first for request in again)
    assert other.request_id != first.request_id


def test_a_call_that_is_still_under_way_from_an_earlier_attempt_is_waited_for(fake: Fake) -> None:
    under_way = Refusal(CODE.ABORTED, "REQUEST_IN_PROGRESS", retry_after=1)
    fake.answers = [under_way, pb.SyncedSecret(name="syncedSecrets/a")]
    began = time.monotonic()
    with connect(fake.target) as client:
        client.create_synced_secret("a", [existing("k", "vaultSecrets/v")])
    assert time.monotonic() - began >= 1.0
    assert fake.asked[0] == fake.asked[1]


def test_every_call_that_ends_is_told(fake: Fake) -> None:
    told: list[secrets.CallInfo] = []
    fake.answers = [Refusal(CODE.NOT_FOUND, "SYNCED_SECRET_NOT_FOUND"), pb.SyncedSecret(name="syncedSecrets/a")]
    with connect(fake.target, on_call=told.append) as client:
        with pytest.raises(secrets.NotFound):
            client.get_synced_secret("syncedSecrets/a")
        client.get_synced_secret("syncedSecrets/a")
    assert [(info.method, info.code) for info in told] == [
        ("GetSyncedSecret", CODE.NOT_FOUND),
        ("GetSyncedSecret", CODE.OK),
    ]
    assert [info.request_id for info in told] == [sent["x-request-id"] for sent in fake.metadata]


def test_no_traceback_shows_a_value_even_with_all_its_variables(fake: Fake) -> None:
    canary = "canary-" + "value-77"
    fake.answers = [Refusal(CODE.ALREADY_EXISTS, "VAULT_SECRET_EXISTS")]
    references = [new("k", "vaultSecrets/v", canary)]
    with connect(fake.target) as client, pytest.raises(secrets.AlreadyExists) as caught:
        client.create_synced_secret("a", references)
    assert fake.asked[0].synced_secret.references[0].create.value == canary
    error, canary = caught.value, ""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    printed = "".join(frames.format())
    assert "references" in printed
    assert "value-77" not in printed.replace('"value-77"', "")
