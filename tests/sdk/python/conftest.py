"""What the tests share: a vault client on its production defaults, and the switches of the double behind it.

The environment leads there (HTTPS_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, AZURE_*); DEV_JSON names the dev.json of a running
`secret-service dev`.
"""

import json
import os
import re
import uuid
from pathlib import Path

import pytest
import requests
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

DEV = json.loads(Path(os.environ["DEV_JSON"]).read_text())
VAULT = DEV["vault_public_uri"].rstrip("/")
AUTHORITY = "https://login.microsoftonline.com"
TENANT = DEV["vault_tenant_id"]


class Double:
    """The switches, which are on loopback only and no part of what the SDK sees."""

    def __init__(self):
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = DEV["vault_ca"]
        self.http.headers["x-double-key"] = Path(DEV["vault_client_secret_file"]).read_text()

    def call(self, method, path, body=None):
        answer = self.http.request(method, f"{DEV['vault_uri']}.double/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def settings(self, **settings):
        self.call("PUT", "settings", settings)

    def fault(self, operation, kind, times=1, **more):
        rule = {"match": {"operation": operation}, "times": times, "fault": {"kind": kind, **more}}
        self.call("POST", "faults", rule)

    def status(self, operation, status, reason, times=1, **more):
        self.fault(operation, "status", times, status=status, reason=reason, **more)

    def advance(self, seconds):
        self.call("POST", "clock", {"advanceSeconds": seconds})

    def asked(self, operation):
        """How often an operation was asked for since the double started."""
        return self.call("GET", "requests")["operations"][operation]

    def challenges(self):
        return self.call("GET", "requests")["challenges"]


@pytest.fixture
def double():
    double = Double()
    yield double
    double.settings()
    double.call("DELETE", "faults")


@pytest.fixture
def client():
    """Nothing but the vault's URL and the credential of the environment."""
    with SecretClient(VAULT, DefaultAzureCredential()) as client:
        yield client


@pytest.fixture
def name(request):
    """A name that no other test has."""
    of_the_test = re.sub("[^0-9a-zA-Z]+", "-", request.node.name)
    return f"{of_the_test[:80].strip('-')}-{uuid.uuid4().hex[:8]}"


def error_of(raised):
    """Status, code and inner code of an error that the SDK raised."""
    error = raised.value.error
    return raised.value.status_code, error.code, (error.innererror or {}).get("code")
