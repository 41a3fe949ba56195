"""The services that tests talk to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from iotoperations_secrets import SecretServiceClient, connect

from .fake import Fake
from .service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests that leave it running; they keep apart by their names."""
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.kill()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """One for a test that kills it."""
    service = Service(tmp_path)
    service.start()
    yield service
    service.kill()


@pytest.fixture
def client(service: Service) -> Iterator[SecretServiceClient]:
    """A client of the service that all tests share."""
    with connect(service.target) as client:
        yield client


@pytest.fixture
def run() -> str:
    """A part of names that no other test has."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server that answers as it is told, for what a real one can't be made to do at will."""
    with Fake() as fake:
        yield fake
