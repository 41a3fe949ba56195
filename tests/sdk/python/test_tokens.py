"""Where tokens come from: the challenge and its verification, discovery, expiry, and what Entra refuses."""

import time

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import http_challenge_cache
from conftest import AUTHORITY, DEV, TENANT, VAULT, error_of

SCOPE = "https://vault.azure.net/.default"


@pytest.fixture(autouse=True)
def no_challenge_is_remembered():
    """The SDK remembers challenges for the whole process."""
    http_challenge_cache.clear()


def credential(**changes):
    known = {
        "tenant_id": TENANT,
        "client_id": DEV["vault_client_id"],
        "client_secret": open(DEV["vault_client_secret_file"]).read(),
    }
    return ClientSecretCredential(**{**known, **changes})


def refused_token(**changes):
    with pytest.raises(ClientAuthenticationError) as raised:
        credential(**changes).get_token(SCOPE)
    return raised.value.message


def test_the_challenge_names_the_authority_and_the_resource_that_the_sdk_verifies(client, double, name):
    before = double.challenges(), double.asked("Token")
    client.set_secret(name, "v")
    client.get_secret(name)
    assert (double.challenges(), double.asked("Token")) == (before[0] + 1, before[1] + 1), "one of each for a client"
    challenge = http_challenge_cache.get_challenge_for_url(VAULT)
    assert challenge.get_authorization_server() == f"{AUTHORITY}/{TENANT}"
    assert challenge.get_resource() == "https://vault.azure.net"
    assert challenge.tenant_id == TENANT


def test_under_the_name_of_loopback_verification_fails_and_says_so(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with SecretClient(DEV["vault_uri"], credential()) as client, pytest.raises(ValueError) as raised:
        client.get_secret("any")
    assert "does not match the requested domain" in str(raised.value)


def test_discovery_leads_to_the_hosts_of_azure():
    answer = requests.get(f"{AUTHORITY}/{TENANT}/v2.0/.well-known/openid-configuration").json()
    assert answer["token_endpoint"] == f"{AUTHORITY}/{TENANT}/oauth2/v2.0/token"
    assert answer["issuer"] == f"{AUTHORITY}/{TENANT}/v2.0"
    query = {"api-version": "1.1", "authorization_endpoint": f"{AUTHORITY}/{TENANT}/oauth2/v2.0/authorize"}
    answer = requests.get(f"{AUTHORITY}/common/discovery/instance", query).json()
    assert answer["tenant_discovery_endpoint"].startswith(f"{AUTHORITY}/{TENANT}/")
    assert "login.microsoftonline.com" in answer["metadata"][0]["aliases"]


def test_no_secrets_lie_at_the_authority_and_no_tokens_at_the_vault():
    assert requests.get(f"{AUTHORITY}/secrets", {"api-version": "7.6"}).status_code == 404
    assert requests.post(f"{VAULT}/{TENANT}/oauth2/v2.0/token").status_code == 404
    assert requests.get(f"{VAULT}/.double/settings").status_code == 404


def test_the_proxy_refuses_every_other_host(name):
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.org/")
    elsewhere = SecretClient(f"https://{name[-8:]}x.vault.azure.net", credential(), retry_total=0)
    with elsewhere, pytest.raises(ServiceRequestError, match="403"):
        elsewhere.get_secret("any")


def test_a_token_is_kept_while_it_is_good_and_a_new_one_is_got_before_it_expires(client, double, name):
    # The SDK takes a new one five minutes before.
    double.settings(tokenLifetimeSeconds=302)
    client.set_secret(name, "v")
    before = double.asked("Token")
    client.get_secret(name)
    assert double.asked("Token") == before
    time.sleep(3)
    client.get_secret(name)
    assert double.asked("Token") == before + 1


def test_an_expired_token_is_refused_and_the_next_one_is_accepted(client, double, name):
    double.settings(tokenLifetimeSeconds=302)
    client.set_secret(name, "v")
    token = credential().get_token(SCOPE).token
    ask = lambda: requests.get(
        f"{VAULT}/secrets/{name}", {"api-version": "7.6"}, headers={"authorization": f"Bearer {token}"}
    )
    assert ask().status_code == 200
    double.advance(303)
    answer = ask()
    assert answer.status_code == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]
    time.sleep(3)
    assert client.get_secret(name).value == "v"


def test_a_token_that_the_vault_revokes_once_is_sent_again_after_the_challenge(client, double, name):
    client.set_secret(name, "v")
    double.fault("SecretGet", "expiredToken")
    assert client.get_secret(name).value == "v"


def test_a_token_that_the_vault_never_accepts_is_an_error_of_authentication(client, double, name):
    client.set_secret(name, "v")
    double.fault("SecretGet", "expiredToken", times=9)
    with pytest.raises(HttpResponseError) as raised:
        client.get_secret(name)
    assert error_of(raised)[:2] == (401, "Unauthorized")


def test_a_token_of_someone_else_is_not_accepted(name):
    for header in ["Bearer not.a.token", "Basic abc", "Bearer "]:
        answer = requests.get(f"{VAULT}/secrets/{name}", {"api-version": "7.6"}, headers={"authorization": header})
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "Unauthorized"


def test_in_dev_any_application_gets_a_token(double, name):
    double.settings(anyApplication=True)
    anybody = ClientSecretCredential(TENANT, "11111111-1111-1111-1111-111111111111", "anything")
    SecretClient(VAULT, anybody).set_secret(name, "v")


def test_entra_refuses_as_it_does_and_says_why(double):
    double.settings(anyApplication=False)
    assert "AADSTS7000215" in refused_token(client_secret="wrong")
    assert "AADSTS700016" in refused_token(client_id="11111111-1111-1111-1111-111111111111")
    with pytest.raises(ClientAuthenticationError, match="AADSTS500011"):
        credential().get_token("https://graph.microsoft.com/.default")


def test_a_tenant_that_is_not_there_is_not_found():
    with pytest.raises((ClientAuthenticationError, ValueError), match="11111111-1111"):
        credential(tenant_id="11111111-1111-1111-1111-111111111111").get_token(SCOPE)


def test_a_token_endpoint_that_fails_is_asked_again(double, name):
    double.status("Token", 503, "temporarily_unavailable", times=2)
    with SecretClient(VAULT, DefaultAzureCredential()) as client:
        assert client.set_secret(name, "v").value == "v"
