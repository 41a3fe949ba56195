"""What differs between asyncio and threads: channels, pauses, and how a closed watch wakes up."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from .._connection import Connection

Channel = grpc.aio.Channel
Cancelled = asyncio.CancelledError


def open_channel(connection: Connection) -> Channel:
    """The channel; it connects by itself when it is first used."""
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, options=connection.options)
    return grpc.aio.secure_channel(connection.target, connection.credentials, options=connection.options)


async def close_channel(channel: Channel) -> None:
    """Ends it, and every call on it."""
    await channel.close(None)


async def next_message(stream: Any) -> Any:
    """The next message of a stream; nothing where it has ended."""
    message = await stream.read()
    return None if message is grpc.aio.EOF else message  # type: ignore[attr-defined]


class Closing:
    """Whether a watch is closed, and a pause that ends as soon as it is."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """It is closed."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it is closed."""
        return self._event.is_set()

    async def wait(self, seconds: float) -> None:
        """Waits that long, or until it is closed."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except asyncio.TimeoutError:
            return


async def sleep(seconds: float) -> None:
    """Waits that long."""
    await asyncio.sleep(seconds)
