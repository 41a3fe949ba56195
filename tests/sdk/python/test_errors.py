"""Every error of the vault, as the SDK's caller gets it."""

import time

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import ApiVersion, SecretClient
from conftest import VAULT, error_of


def refused(call, kind=HttpResponseError):
    with pytest.raises(kind) as raised:
        call()
    return error_of(raised)


def test_what_is_not_there_is_not_found(client, name):
    missing = (404, "SecretNotFound", None)
    assert refused(lambda: client.get_secret(name), ResourceNotFoundError) == missing
    assert refused(lambda: client.update_secret_properties(name, enabled=True), ResourceNotFoundError) == missing
    assert refused(lambda: client.begin_delete_secret(name), ResourceNotFoundError) == missing
    assert refused(lambda: client.get_deleted_secret(name), ResourceNotFoundError) == missing
    assert refused(lambda: client.begin_recover_deleted_secret(name), ResourceNotFoundError) == missing
    assert refused(lambda: client.purge_deleted_secret(name), ResourceNotFoundError) == missing
    assert refused(lambda: client.backup_secret(name), ResourceNotFoundError) == missing


def test_a_version_that_is_not_there_is_not_found(client, name):
    client.set_secret(name, "v")
    missing = (404, "SecretNotFound", None)
    assert refused(lambda: client.get_secret(name, "0" * 32), ResourceNotFoundError) == missing
    update = lambda: client.update_secret_properties(name, "0" * 32, enabled=True)
    assert refused(update, ResourceNotFoundError) == missing


def test_the_name_of_a_deleted_secret_is_taken(client, name):
    client.set_secret(name, "v")
    backup = client.backup_secret(name)
    client.begin_delete_secret(name).result()
    taken = (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert refused(lambda: client.set_secret(name, "w"), ResourceExistsError) == taken
    assert refused(lambda: client.restore_secret_backup(backup), ResourceExistsError) == taken


def test_a_backup_is_not_restored_over_a_secret(client, name):
    client.set_secret(name, "v")
    backup = client.backup_secret(name)
    assert refused(lambda: client.restore_secret_backup(backup), ResourceExistsError)[:2] == (409, "Conflict")


def test_while_the_vault_is_deleting_a_secret_nothing_else_can_be_done_with_it(client, double, name):
    double.settings(transitionMilliseconds=60_000)
    client.set_secret(name, "v")
    client.begin_delete_secret(name)
    busy = (409, "Conflict", "ObjectIsBeingDeleted")
    assert refused(lambda: client.set_secret(name, "w"), ResourceExistsError) == busy
    assert refused(lambda: client.purge_deleted_secret(name)) == busy
    assert refused(lambda: client.begin_recover_deleted_secret(name)) == busy
    assert refused(lambda: client.get_secret(name), ResourceNotFoundError) == (404, "SecretNotFound", None)
    assert refused(lambda: client.get_deleted_secret(name), ResourceNotFoundError) == (404, "SecretNotFound", None)


def test_no_right_and_a_firewall_are_two_kinds_of_forbidden(client, double, name):
    double.fault("SecretGet", "forbiddenByRbac")
    assert refused(lambda: client.get_secret(name)) == (403, "Forbidden", "ForbiddenByRbac")
    double.fault("SecretSet", "forbiddenByFirewall")
    assert refused(lambda: client.set_secret(name, "v")) == (403, "Forbidden", "ForbiddenByFirewall")


@pytest.mark.parametrize("bad", ["under_score", "dot.ted", "ümlaut", "a" * 128])
def test_a_name_that_key_vault_does_not_take_is_refused(client, bad):
    wrong = (400, "BadParameter", None)
    assert refused(lambda: client.set_secret(bad, "v")) == wrong
    assert refused(lambda: client.get_secret(bad)) == wrong


def test_the_longest_name_is_taken(client, name):
    longest = f"{name}-".ljust(127, "x")
    assert client.set_secret(longest, "v").name == longest


def test_a_value_may_have_25600_bytes_and_no_more(client, name):
    assert client.set_secret(name, "ö" * 12_800).value == "ö" * 12_800
    assert refused(lambda: client.set_secret(name, "ö" * 12_801)) == (400, "BadParameter", None)
    assert client.get_secret(name).value == "ö" * 12_800


def test_tags_are_15_of_256_characters_at_most(client, name):
    wrong = (400, "BadParameter", None)
    client.set_secret(name, "v", tags={f"{number:0256}": "x" * 256 for number in range(15)})
    assert refused(lambda: client.set_secret(name, "v", tags={str(number): "" for number in range(16)})) == wrong
    assert refused(lambda: client.update_secret_properties(name, tags={"x" * 257: ""})) == wrong
    assert refused(lambda: client.update_secret_properties(name, tags={"x": "x" * 257})) == wrong


@pytest.mark.parametrize("size", [0, 26])
def test_a_page_has_1_to_25_items(client, size):
    pages = client.list_properties_of_secrets(max_page_size=size).by_page()
    assert refused(lambda: next(pages)) == (400, "BadParameter", None)


def test_a_damaged_backup_is_refused(client, name):
    client.set_secret(name, "v")
    backup = bytearray(client.backup_secret(name))
    backup[-1] ^= 1
    assert refused(lambda: client.restore_secret_backup(bytes(backup))) == (400, "BadParameter", None)


@pytest.mark.parametrize("version", list(ApiVersion))
def test_every_api_version_that_the_sdk_knows_is_spoken(version, name):
    with SecretClient(VAULT, DefaultAzureCredential(), api_version=version) as client:
        client.set_secret(name, "v")
        assert client.get_secret(name).value == "v"
        client.begin_delete_secret(name).result()
        client.purge_deleted_secret(name)


def test_an_unknown_api_version_is_refused(name):
    with SecretClient(VAULT, DefaultAzureCredential(), api_version="7.99") as client:
        assert refused(lambda: client.get_secret(name)) == (400, "BadParameter", None)


def test_the_sdk_waits_as_long_as_a_throttling_vault_asks(client, double, name):
    client.set_secret(name, "v")
    double.status("SecretGet", 429, "Throttled", retryAfterSeconds=2)
    begun = time.monotonic()
    assert client.get_secret(name).value == "v"
    assert 2 <= time.monotonic() - begun < 6


def test_a_vault_that_always_throttles_is_given_up(double, name):
    double.settings(throttle={"perSecond": 0.001, "burst": 0, "retryAfterSeconds": 0})
    with SecretClient(VAULT, DefaultAzureCredential(), retry_total=1) as client:
        assert refused(lambda: client.get_secret(name)) == (429, "Throttled", None)


@pytest.mark.parametrize("status, code", [(500, "InternalServerError"), (503, "ServiceUnavailable")])
def test_the_sdk_tries_again_where_the_vault_fails(client, double, name, status, code):
    double.status("SecretSet", status, code, times=2)
    assert client.set_secret(name, "v").value == "v"
    double.status("SecretList", status, code)
    assert name in [of.name for of in client.list_properties_of_secrets()]


def test_a_connection_that_breaks_is_tried_again(client, double, name):
    client.set_secret(name, "v")
    double.fault("SecretGet", "resetMidBody")
    assert client.get_secret(name).value == "v"
