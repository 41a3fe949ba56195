"""How to reach the service: the target, what protects the connection, and what is retried."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc

from .v1 import secret_service_pb2 as pb

StrPath = str | os.PathLike[str]
Option = tuple[str, Any]

SERVICE = pb.DESCRIPTOR.services_by_name["SecretService"]

# Attempts of one call, the first included, while nobody answers or the service says UNAVAILABLE.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


@dataclass(frozen=True)
class Connection:
    """What a channel is made of; without credentials it is plaintext."""

    target: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[Option, ...]


def plan(
    target: str,
    *,
    ca: StrPath | None = None,
    cert: StrPath | None = None,
    key: StrPath | None = None,
    token_file: StrPath | None = None,
    insecure: bool = False,
    server_name: str | None = None,
    options: Sequence[Option] = (),
) -> Connection:
    """Decides how to connect, or says what doesn't go together."""
    if (cert is None) != (key is None):
        raise ValueError("cert and key go together: the client certificate and its private key")
    unix, local = target.startswith("unix:"), _is_local(target)
    tls = ca is not None or cert is not None or not (local or insecure)
    if insecure and (ca is not None or cert is not None):
        raise ValueError("insecure means without TLS: leave out ca, cert and key, or insecure")
    if token_file is not None and not tls and not unix:
        raise ValueError(
            "a token is sent over TLS or a unix socket only, because whoever sees it can use it: give a ca"
        )
    names = [("grpc.ssl_target_name_override", server_name)] if server_name else []
    return Connection(target, _credentials(tls, ca, cert, key, token_file), (*_options(), *names, *options))


def _credentials(
    tls: bool,
    ca: StrPath | None,
    cert: StrPath | None,
    key: StrPath | None,
    token_file: StrPath | None,
) -> grpc.ChannelCredentials | None:
    if not tls and token_file is None:
        return None
    channel = (
        grpc.ssl_channel_credentials(_bytes(ca), _bytes(key), _bytes(cert))
        if tls
        else grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    )
    if token_file is None:
        return channel
    token = grpc.metadata_call_credentials(TokenFile(token_file), name="token-file")
    return grpc.composite_channel_credentials(channel, token)


class TokenFile(grpc.AuthMetadataPlugin):
    """A token in a file that someone renews, such as a Kubernetes service-account token.

    It is read again for every call: the file is small, and then no stale token is ever sent.
    """

    def __init__(self, path: StrPath) -> None:
        self._path = Path(path)
        self._read()

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Hands the token to the call."""
        del context
        try:
            callback((("authorization", f"Bearer {self._read()}"),), None)
        except OSError as error:
            callback((), error)

    def _read(self) -> str:
        return self._path.read_text(encoding="ascii").strip()


def _bytes(path: StrPath | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _is_local(target: str) -> bool:
    """Whether what is sent there never leaves this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    address = unquote(target.rpartition("/")[2])
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        address = address.removeprefix(scheme)
    host = address.rpartition(":")[0] if address.count(":") == 1 or "]:" in address else address
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _options() -> list[Option]:
    return [
        ("grpc.service_config", service_config()),
        ("grpc.enable_retries", 1),
        # A peer that vanished without a word is noticed while a call waits for it.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # Back soon after the service is.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]


def service_config() -> str:
    """Every call but a watch is retried: reads change nothing, and changes carry a request_id."""
    retried = [
        {"service": SERVICE.full_name, "method": method.name}
        for method in SERVICE.methods
        if not method.server_streaming
    ]
    return json.dumps({"methodConfig": [{"name": retried, "retryPolicy": _RETRY}]})
