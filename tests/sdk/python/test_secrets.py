"""A secret's life: set, read, listed, changed, deleted, recovered, purged, backed up and restored."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from conftest import VAULT, error_of


def test_a_set_secret_is_read_with_all_that_was_given(client, name):
    starts = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    ends = starts + timedelta(days=3650)
    tags = {"line": "3", "größe": "♥"}
    made = client.set_secret(
        name, "wört\n♥", content_type="text/plain", tags=tags, enabled=True, not_before=starts, expires_on=ends
    )
    got = client.get_secret(name)
    assert got.value == made.value == "wört\n♥"
    assert got.id == made.id == f"{VAULT}/secrets/{name}/{got.properties.version}"
    assert len(got.properties.version) == 32
    of = got.properties
    assert (of.vault_url, of.name, of.content_type, of.tags, of.enabled) == (VAULT, name, "text/plain", tags, True)
    assert (of.not_before, of.expires_on) == (starts, ends)
    assert abs(of.created_on - datetime.now(timezone.utc)) < timedelta(days=2), "the clock may have been advanced"
    assert of.updated_on >= of.created_on
    assert (of.recovery_level, of.recoverable_days, of.managed, of.key_id) == ("Recoverable+Purgeable", 90, None, None)


def test_what_was_not_given_is_absent(client, name):
    of = client.set_secret(name, "").properties
    assert (of.content_type, of.tags, of.not_before, of.expires_on, of.enabled) == (None, None, None, None, True)
    assert client.get_secret(name).value == ""


def test_names_do_not_tell_case_apart(client, name):
    client.set_secret(name, "v")
    assert client.get_secret(name.upper()).value == "v"


def test_a_second_set_adds_a_version_and_each_is_got_by_its_id(client, name):
    first = client.set_secret(name, "one").properties.version
    second = client.set_secret(name, "two", content_type="new").properties.version
    assert first != second
    assert client.get_secret(name).value == "two"
    assert client.get_secret(name, first).value == "one"
    assert client.get_secret(name, first).properties.content_type is None, "a version inherits nothing"
    versions = list(client.list_properties_of_secret_versions(name))
    assert {of.version for of in versions} == {first, second}
    assert all(of.id == f"{VAULT}/secrets/{name}/{of.version}" for of in versions)


def test_lists_come_in_pages_to_their_end(client, double, name):
    names = {f"{name}-{number}" for number in range(60)}
    for each in names:
        client.set_secret(each, "v", tags={"of": name})
    before = double.asked("SecretList")
    listed = list(client.list_properties_of_secrets())
    mine = [of for of in listed if of.name in names]
    assert {of.name for of in mine} == names and len(mine) == 60
    assert all(of.version is None and of.id == f"{VAULT}/secrets/{of.name}" for of in mine)
    assert all(of.tags == {"of": name} for of in mine)
    pages = double.asked("SecretList") - before
    assert pages == -(-len(listed) // 25), "25 to a page"

    sizes = [len(list(page)) for page in client.list_properties_of_secrets(max_page_size=10).by_page()]
    assert sum(sizes) == len(listed) and max(sizes) == sizes[0] == 10


def test_a_list_goes_on_where_a_client_left_it(client, name):
    for number in range(30):
        client.set_secret(f"{name}-{number:02}", "v")
    pages = client.list_properties_of_secrets().by_page()
    first = [of.name for of in next(pages)]
    assert pages.continuation_token.startswith(f"{VAULT}/secrets?")
    rest = client.list_properties_of_secrets().by_page(continuation_token=pages.continuation_token)
    rest = [of.name for page in rest for of in page]
    everything = [of.name for of in client.list_properties_of_secrets()]
    assert len(first) == 25 and first + rest == everything


def test_versions_come_in_pages_too(client, name):
    made = {client.set_secret(name, str(number)).properties.version for number in range(30)}
    pages = [list(page) for page in client.list_properties_of_secret_versions(name).by_page()]
    assert [len(page) for page in pages] == [25, 5]
    assert {of.version for page in pages for of in page} == made


def test_an_update_changes_what_it_names_and_makes_no_version(client, name):
    made = client.set_secret(name, "v", content_type="old", tags={"a": "1"}).properties
    ends = datetime(2040, 1, 1, tzinfo=timezone.utc)
    after = client.update_secret_properties(name, content_type="new", expires_on=ends)
    assert (after.version, after.content_type, after.tags, after.expires_on) == (made.version, "new", {"a": "1"}, ends)
    after = client.update_secret_properties(name, made.version, tags={"b": "2"})
    assert (after.content_type, after.tags) == ("new", {"b": "2"})
    assert client.get_secret(name).properties.tags == {"b": "2"}
    assert len(list(client.list_properties_of_secret_versions(name))) == 1


def test_a_disabled_version_is_not_given_until_it_is_enabled_again(client, name):
    client.set_secret(name, "v")
    assert client.update_secret_properties(name, enabled=False).enabled is False
    with pytest.raises(HttpResponseError) as raised:
        client.get_secret(name)
    assert error_of(raised) == (403, "Forbidden", "SecretDisabled")
    assert [of.enabled for of in client.list_properties_of_secret_versions(name)] == [False]
    client.update_secret_properties(name, enabled=True)
    assert client.get_secret(name).value == "v"


def test_versions_that_have_expired_or_are_not_valid_yet_are_given(client, name):
    long_ago, in_years = datetime(2001, 1, 1, tzinfo=timezone.utc), datetime(2090, 1, 1, tzinfo=timezone.utc)
    client.set_secret(name, "v", expires_on=long_ago)
    assert client.get_secret(name).value == "v"
    client.set_secret(name, "w", not_before=in_years)
    assert client.get_secret(name).value == "w"


def test_a_deleted_secret_is_seen_recovered_and_purged(client, name):
    made = client.set_secret(name, "v", tags={"a": "1"}).properties
    gone = client.begin_delete_secret(name).result()
    assert gone.name == name and gone.recovery_id == f"{VAULT}/deletedsecrets/{name}"
    assert gone.scheduled_purge_date - gone.deleted_date == timedelta(days=90)
    with pytest.raises(ResourceNotFoundError):
        client.get_secret(name)
    assert client.get_deleted_secret(name).properties.tags == {"a": "1"}
    listed = [deleted for deleted in client.list_deleted_secrets() if deleted.name == name]
    assert len(listed) == 1 and listed[0].recovery_id == gone.recovery_id

    assert client.begin_recover_deleted_secret(name).result().name == name
    assert client.get_secret(name).properties.version == made.version

    client.begin_delete_secret(name).result()
    client.purge_deleted_secret(name)
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_secret(name)
    assert client.set_secret(name, "again").value == "again", "the name is free"


def test_deleted_secrets_come_in_pages(client, double, name):
    names = {f"{name}-{number}" for number in range(30)}
    for each in names:
        client.set_secret(each, "v")
        client.begin_delete_secret(each)
    before = double.asked("SecretListDeleted")
    listed = [deleted.name for deleted in client.list_deleted_secrets()]
    assert names <= set(listed)
    assert double.asked("SecretListDeleted") - before == -(-len(listed) // 25)


def test_the_pollers_wait_until_the_vault_is_done(client, double, name):
    double.settings(transitionMilliseconds=1500)
    client.set_secret(name, "v")
    deleting = client.begin_delete_secret(name)
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_secret(name)
    deleting.wait()
    assert client.get_deleted_secret(name).name == name
    recovering = client.begin_recover_deleted_secret(name)
    with pytest.raises(ResourceNotFoundError):
        client.get_secret(name)
    recovering.wait()
    assert client.get_secret(name).value == "v"


def test_a_backup_restores_all_versions(client, name):
    made = {client.set_secret(name, value).properties.version for value in ["one", "two"]}
    backup = client.backup_secret(name)
    assert b"one" not in backup and len(backup) > 100
    client.begin_delete_secret(name).result()
    client.purge_deleted_secret(name)
    restored = client.restore_secret_backup(backup)
    assert restored.name == name
    assert client.get_secret(name).value == "two"
    assert {of.version for of in client.list_properties_of_secret_versions(name)} == made
