"""Connections: TLS, client certificates, tokens, and what is refused for being open to others."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from iotoperations_secrets import ServiceUnreachable, Unauthenticated, connect
from iotoperations_secrets._connection import plan
from iotoperations_secrets.v1 import secret_service_pb2 as pb

from .fake import Fake

SECRET = pb.SyncedSecret(name="syncedSecrets/a")


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = directory / "ca.pem"
        self._key = directory / "ca.key"
        self._openssl("req", "-x509", *NEW_KEY, "-keyout", self._key, "-out", self.ca, "-subj", "/CN=test")

    def sign(self, name: str) -> tuple[Path, Path]:
        """A certificate for a name on loopback, and its key."""
        cert, key, request, names = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        self._openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-days", "1", "-out", cert,
            "-extfile", names,
        )  # fmt: skip
        return cert, key

    @staticmethod
    def _openssl(*arguments: Any) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls(authority: Authority, *, clients: bool = False) -> grpc.ServerCredentials:
    cert, key = authority.sign("server")
    pair = [(key.read_bytes(), cert.read_bytes())]
    return grpc.ssl_server_credentials(pair, authority.ca.read_bytes() if clients else None, clients)


def test_a_token_is_sent_over_tls_and_read_again_for_every_call(authority: Authority) -> None:
    token = authority.directory / "token"
    token.write_text("first\n")
    with Fake(tls(authority)) as fake, connect(fake.target, ca=authority.ca, token_file=token) as client:
        fake.answers = [SECRET]
        client.get_synced_secret("syncedSecrets/a")
        token.write_text("second\n")
        client.get_synced_secret("syncedSecrets/a")
        assert [sent["authorization"] for sent in fake.metadata] == ["Bearer first", "Bearer second"]
        token.unlink()
        with pytest.raises(Unauthenticated, match="token file can't be read"):
            client.get_synced_secret("syncedSecrets/a")


def test_a_client_certificate_is_shown_to_the_service(authority: Authority) -> None:
    cert, key = authority.sign("pump-operator")
    names: list[Any] = []

    def answer(_: Any, context: grpc.ServicerContext) -> pb.SyncedSecret:
        names.append(context.auth_context()["x509_common_name"])
        return SECRET

    with Fake(tls(authority, clients=True)) as fake:
        fake.answers = [answer]
        with connect(fake.target, ca=authority.ca, cert=cert, key=key) as client:
            client.get_synced_secret("syncedSecrets/a")
        with connect(fake.target, ca=authority.ca) as client, pytest.raises(ServiceUnreachable):
            client.get_synced_secret("syncedSecrets/a")
    assert names == [[b"pump-operator"]]


def test_a_service_that_someone_else_signed_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with Fake(tls(authority)) as fake, connect(fake.target, ca=other.ca) as client:
        fake.answers = [SECRET]
        with pytest.raises(ServiceUnreachable, match="No trusted connection"):
            client.get_synced_secret("syncedSecrets/a")
        assert fake.asked == []


def test_a_token_goes_over_a_unix_socket_too(tmp_path: Path) -> None:
    token, socket = tmp_path / "token", tmp_path / "socket"
    token.write_text("mine")
    with Fake(address=f"unix:{socket}") as fake:
        fake.answers = [SECRET]
        with connect(fake.target) as client:
            client.get_synced_secret("syncedSecrets/a")
        with connect(fake.target, token_file=token) as client:
            client.get_synced_secret("syncedSecrets/a")
        assert "authorization" not in fake.metadata[0]
        assert fake.metadata[1]["authorization"] == "Bearer mine"


@pytest.mark.parametrize(
    "local",
    ["127.0.0.1:50051", "localhost:50051", "[::1]:50051", "dns:///localhost:1", "ipv4:127.9.9.9:1", "unix:/run/s"],
)
def test_on_this_machine_it_is_plaintext_unless_tls_is_asked_for(local: str, authority: Authority) -> None:
    assert plan(local).credentials is None
    assert plan(local, ca=authority.ca).credentials is not None


@pytest.mark.parametrize("remote", ["secrets:50051", "10.0.0.1:50051", "dns:///secrets:1", "localhost.evil.example:1"])
def test_to_other_machines_it_is_tls_unless_plaintext_is_asked_for(remote: str, tmp_path: Path) -> None:
    assert plan(remote).credentials is not None
    assert plan(remote, insecure=True).credentials is None
    token = tmp_path / "token"
    token.write_text("t")
    with pytest.raises(ValueError, match="a token is sent over TLS"):
        plan(remote, insecure=True, token_file=token)


def test_what_does_not_go_together_is_said(authority: Authority) -> None:
    with pytest.raises(ValueError, match="go together"):
        plan("secrets:1", cert=authority.ca)
    with pytest.raises(ValueError, match="without TLS"):
        plan("secrets:1", ca=authority.ca, insecure=True)
    with pytest.raises(FileNotFoundError):
        plan("secrets:1", ca=authority.directory / "nowhere")
