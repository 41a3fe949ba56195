"""Lists, waiting, values and types."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta, timezone

import pytest
from google.protobuf.message_factory import GetMessageClass

import iotoperations_secrets as secrets
from iotoperations_secrets import NewVaultSecret, SecretReference, SecretServiceClient, SecretValue, aio, existing, new
from iotoperations_secrets import _convert as convert
from iotoperations_secrets.v1 import secret_service_pb2 as pb

from .fake import Fake
from .service import Service


def test_a_list_pages_by_itself(client: SecretServiceClient, run: str) -> None:
    wanted = [f"{run}-{number}" for number in range(7)]
    for id_ in wanted:
        client.create_synced_secret(id_, [existing("k", "vaultSecrets/historian-token")])
    found = client.list_synced_secrets(name_contains=run, page_size=3)
    assert [secret.id for secret in found] == wanted
    assert [secret.id for secret in found] == wanted, "it can be iterated again"
    pages = list(found.pages())
    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert pages[0].total_size == 7
    rest = client.list_synced_secrets(name_contains=run, page_size=3, page_token=pages[0].next_page_token)
    assert [secret.id for secret in rest] == wanted[3:]


def test_a_list_pages_by_itself_in_asyncio(service: Service) -> None:
    async def main() -> None:
        async with aio.connect(service.target) as client:
            by_two = [secret.name async for secret in client.list_vault_secrets(page_size=2)]
            assert by_two == [secret.name async for secret in client.list_vault_secrets()]
            assert len(by_two) >= 7

    asyncio.run(main())


def test_wait_synced_returns_what_the_edge_holds_and_says_what_is_in_the_way(
    client: SecretServiceClient, run: str
) -> None:
    made = client.create_synced_secret(f"ok-{run}", [new("k", f"vaultSecrets/ok-{run}", "v")])
    assert client.wait_synced(made.name, timeout=20).is_synced
    client.update_synced_secret(
        made.name, references=[SecretReference("k", f"vaultSecrets/ok-{run}", encoding=secrets.Encoding.UNSPECIFIED)]
    )
    assert client.wait_synced(made.name, timeout=timedelta(seconds=20)).references[0].synced_version
    with pytest.raises(secrets.NotFound):
        client.wait_synced(f"syncedSecrets/nowhere-{run}")
    with pytest.raises(secrets.InvalidRequest):
        client.wait_synced("a-bare-id")


AWAY = pb.Condition(type="Synced", reason="VaultUnreachable", message="The vault is away. Wait for it.")


def standing(state: pb.SyncedSecret.State.ValueType) -> pb.SyncedSecret:
    """A synced secret in a state, with a condition that says why."""
    return pb.SyncedSecret(name="syncedSecrets/a", state=state, generation=2, conditions=[AWAY])


def modified(secret: pb.SyncedSecret) -> pb.WatchSyncedSecretsResponse:
    """What a watcher is told of it."""
    return pb.WatchSyncedSecretsResponse(type=pb.WatchSyncedSecretsResponse.TYPE_MODIFIED, synced_secret=secret)


@pytest.mark.parametrize("state", ["FAILED", "DEGRADED", "DELETING"])
@pytest.mark.parametrize("watches_first", [False, True])
def test_wait_synced_ends_with_the_cause_of_a_failure(fake: Fake, state: str, watches_first: bool) -> None:
    ended = standing(pb.SyncedSecret.State.Value(f"STATE_{state}"))
    pending = standing(pb.SyncedSecret.STATE_PENDING)
    fake.answers = [pending, [modified(ended)]] if watches_first else [ended]
    with secrets.connect(fake.target) as client, pytest.raises(secrets.NotSynced) as caught:
        client.wait_synced("syncedSecrets/a", timeout=10)
    assert not isinstance(caught.value, TimeoutError)
    assert caught.value.synced_secret is not None
    assert caught.value.synced_secret.state is secrets.State[state]
    assert caught.value.reason == "VaultUnreachable"
    assert f"{state}. The vault is away." in str(caught.value)


def test_wait_synced_waits_through_failures_where_it_is_told_to_until_the_time_is_over(fake: Fake) -> None:
    degraded = standing(pb.SyncedSecret.STATE_DEGRADED)
    fake.answers = [degraded, [modified(degraded)]]
    with secrets.connect(fake.target) as client:
        with pytest.raises(secrets.NotSyncedInTime) as caught:
            client.wait_synced("syncedSecrets/a", timeout=1, through_failures=True)
        mended = pb.SyncedSecret(
            name="syncedSecrets/a", state=pb.SyncedSecret.STATE_SYNCED, generation=2, synced_generation=2
        )
        fake.answers = [degraded, [modified(degraded), modified(mended)]]
        assert client.wait_synced("syncedSecrets/a", timeout=10, through_failures=True).is_synced
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.synced_secret is not None
    assert caught.value.synced_secret.state is secrets.State.DEGRADED
    assert caught.value.reason == "VaultUnreachable"
    assert "DEGRADED. The vault is away." in str(caught.value)


def test_wait_synced_waits_in_asyncio_too(service: Service, run: str) -> None:
    async def main() -> None:
        async with aio.connect(service.target) as client:
            made = await client.create_synced_secret(f"asyncio-{run}", [existing("k", "vaultSecrets/historian-token")])
            assert (await client.wait_synced(made.name, timeout=20)).state is secrets.State.SYNCED

    asyncio.run(main())


def test_an_update_changes_only_what_is_given(client: SecretServiceClient, run: str) -> None:
    references = [existing("k", "vaultSecrets/historian-token")]
    made = client.create_synced_secret(f"u-{run}", references, description="a", labels={"l": "1"})
    changed = client.update_synced_secret(made.name, description="b", etag=made.etag)
    assert (changed.description, changed.labels) == ("b", {"l": "1"})
    assert [reference.key for reference in changed.references] == ["k"]
    with pytest.raises(secrets.Stale):
        client.update_synced_secret(made.name, description="c", etag=made.etag)
    more = [*changed.references, existing("k2", "vaultSecrets/pump-7-username")]
    assert len(client.update_synced_secret(changed, references=more).references) == 2
    assert client.update_synced_secret(made.name, labels={}).labels == {}


def test_a_change_of_what_was_read_overwrites_no_newer_state_unless_any_may_be(
    client: SecretServiceClient, run: str
) -> None:
    references = [existing("k", "vaultSecrets/historian-token")]
    read = client.create_synced_secret(f"r-{run}", references, wait=10)
    newer = client.update_synced_secret(read.name, description="somebody else's")
    more = [*read.references, existing("k2", "vaultSecrets/pump-7-username")]
    with pytest.raises(secrets.Stale):
        client.update_synced_secret(read, references=more)
    with pytest.raises(secrets.Stale):
        client.delete_synced_secret(read)
    assert client.get_synced_secret(read.name).description == "somebody else's"
    changed = client.update_synced_secret(newer, references=more)
    assert len(changed.references) == 2
    forced = client.update_synced_secret(read, labels={"l": "1"}, any_state=True)
    assert client.update_synced_secret(read, description="b", etag=forced.etag).description == "b"
    with pytest.raises(ValueError, match="exclude"):
        client.delete_synced_secret(read, etag=read.etag, any_state=True)
    client.delete_synced_secret(read, any_state=True, wait=10)
    with pytest.raises(secrets.NotFound):
        client.get_synced_secret(read.name)


def test_single_references_are_set_and_removed_and_all_others_stay(client: SecretServiceClient, run: str) -> None:
    held = "vaultSecrets/historian-token"
    read = client.create_synced_secret(f"e-{run}", [existing("a", held), existing("b", held)])
    theirs = client.update_synced_secret(read.name, set_references=[existing("c", held)])
    changed = client.update_synced_secret(
        read.name,
        set_references=[existing("b", "vaultSecrets/pump-7-username"), existing("d", held)],
        remove_keys=["a"],
        description="one call",
    )
    assert [reference.key for reference in changed.references] == ["b", "c", "d"]
    assert changed.references[0].vault_secret.endswith("/pump-7-username")
    assert (changed.description, changed.generation) == ("one call", theirs.generation + 1)
    with pytest.raises(secrets.Stale):
        client.update_synced_secret(read, remove_keys=["b"])
    with pytest.raises(secrets.NotFound):
        client.update_synced_secret(read.name, remove_keys=["a"])
    with pytest.raises(TypeError, match="list of keys"):
        client.update_synced_secret(read.name, remove_keys="b")


def test_bytes_are_stored_in_the_encoding_that_is_asked_for(client: SecretServiceClient, run: str) -> None:
    made = client.create_vault_secret(f"hex-{run}", b"\x00\xff")
    assert (made.encoding, made.tags["file-encoding"]) == (secrets.Encoding.HEX, "hex")
    base64 = secrets.Encoding.BASE64
    assert client.create_vault_secret(f"base64-{run}", b"\x00\xff", encoding=base64).encoding is base64
    client.add_vault_secret_version(f"vaultSecrets/base64-{run}", b"\x00\xfe")
    assert client.get_vault_secret(f"vaultSecrets/base64-{run}").encoding is base64
    reference = new("ca.der", f"vaultSecrets/of-{run}", b"\x00\xfd", stored_encoding=base64)
    synced = client.create_synced_secret(f"of-{run}", [reference], wait=10)
    assert (synced.state, synced.references[0].encoding) == (secrets.State.SYNCED, base64)


def test_nothing_shows_bytes_but_reveal() -> None:
    data = secrets.SecretData(b"canary-7")
    reference = new("k", "vaultSecrets/v", b"canary-7")
    plain = NewVaultSecret(b"canary-7")  # type: ignore[arg-type]
    shown = [repr(data), str(data), f"{data!r:>40}", repr(reference), repr([plain])]
    assert not [text for text in shown if "canary" in text]
    assert data.reveal() == plain.value.reveal() == b"canary-7"
    assert data == secrets.SecretData(data) != secrets.SecretData(b"x")
    for copier in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copier(data)


def test_nothing_shows_a_value_but_reveal(caplog: pytest.LogCaptureFixture) -> None:
    value = SecretValue("canary-7")
    reference = new("k", "vaultSecrets/v", value)
    plain = NewVaultSecret("canary-7")  # type: ignore[arg-type]
    logging.getLogger("test").warning("%s %r", value, reference)
    shown = [repr(value), str(value), f"{value}", f"{value!r:>40}", repr(reference), repr([plain]), caplog.text]
    assert not [text for text in shown if "canary" in text]
    assert value.reveal() == plain.value.reveal() == "canary-7"
    assert value == SecretValue("canary-7") != SecretValue("x")
    assert not hasattr(value, "__dict__")
    for copier in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copier(value)


def test_a_dataclass_has_every_field_of_its_message() -> None:
    for full_name, cls in convert._CLASSES.items():
        assert is_dataclass(cls)
        descriptor = pb.DESCRIPTOR.message_types_by_name[full_name.rpartition(".")[2]]
        assert {field.name for field in fields(cls)} == {field.name for field in descriptor.fields}, full_name
        read = convert.read(cls, GetMessageClass(descriptor)())
        assert isinstance(read, cls)


def test_an_enum_has_every_value_of_the_contract_and_bears_new_ones() -> None:
    for full_name, cls in convert._ENUMS.items():
        enum = pb.DESCRIPTOR.pool.FindEnumTypeByName(full_name)
        named = {value.name: value.number for value in enum.values}
        assert {member.value for member in cls} == set(named.values()), full_name
        assert all(any(name.endswith(f"_{member.name}") for name in named) for member in cls)
        assert cls(99) is cls(0)


def test_a_time_without_a_zone_is_refused_and_one_that_comes_has_one(client: SecretServiceClient) -> None:
    with pytest.raises(ValueError, match="zone"):
        client.create_vault_secret("never", "v", expire_time=datetime(2030, 1, 1))
    checked = client.get_vault().check_time
    assert checked is not None
    assert checked.tzinfo is timezone.utc
