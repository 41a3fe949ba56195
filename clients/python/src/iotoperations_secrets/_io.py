"""What differs between threads and asyncio: channels, pauses, and how a closed watch wakes up."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc

from ._connection import Connection

Channel = grpc.Channel
Cancelled = grpc.FutureCancelledError


def open_channel(connection: Connection) -> Channel:
    """The channel; it connects by itself when it is first used."""
    if connection.credentials is None:
        return grpc.insecure_channel(connection.target, options=connection.options)
    return grpc.secure_channel(connection.target, connection.credentials, options=connection.options)


def close_channel(channel: Channel) -> None:
    """Ends it, and every call on it."""
    channel.close()


def next_message(stream: Any) -> Any:
    """The next message of a stream; nothing where it has ended."""
    return next(stream, None)


class Closing:
    """Whether a watch is closed, and a pause that ends as soon as it is."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """It is closed."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it is closed."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Waits that long, or until it is closed."""
        self._event.wait(seconds)


def sleep(seconds: float) -> None:
    """Waits that long."""
    time.sleep(seconds)
