"""A watch that outlives the connection: it reconnects, resumes from its token, and misses nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from .._errors import DeadlineExceeded, SecretServiceError
from .._resume import Resumption
from .._types import WatchEvent
from ._io import Cancelled, Closing, next_message

if TYPE_CHECKING:
    from typing_extensions import Self

Open = Callable[[Any, "float | None"], Any]
Translate = Callable[[Exception], SecretServiceError]


class AsyncWatch(AsyncIterator[WatchEvent]):
    """The events of a watch. It ends only when it is closed, or with what no reconnecting mends.

    Use it in a ``with`` block, so that the service hears of its end.
    """

    def __init__(self, resumption: Resumption, open_: Open, translate: Translate, timeout: float | None) -> None:
        self._resumption = resumption
        self._open = open_
        self._translate = translate
        self._ends = None if timeout is None else time.monotonic() + timeout
        self._closing = Closing()
        self._stream: Any = None

    @property
    def resume_token(self) -> str:
        """Give it to a later watch, of this program or the next, to go on after the last event that has one."""
        return self._resumption.resume_token

    async def __anext__(self) -> WatchEvent:
        while not self._closing.is_set():
            event = await self._step()
            if event is not None:
                return event
        raise StopAsyncIteration

    async def _step(self) -> WatchEvent | None:
        """One message, or one attempt to get a new stream after one broke."""
        failure: SecretServiceError | None = None
        try:
            if self._stream is None:
                if self._ends is not None and time.monotonic() >= self._ends:
                    raise DeadlineExceeded("The timeout of the watch passed.", code=grpc.StatusCode.DEADLINE_EXCEEDED)
                self._stream = self._open(self._resumption.request(), self._left())
            if restarted := self._resumption.restarted():
                return restarted
            message = await next_message(self._stream)
            if message is not None:
                return self._resumption.received(message)
        except grpc.RpcError as error:
            failure = self._translate(error)
        except Cancelled:
            # Whoever stops waiting takes the stream along; who waits again gets another, from the same place.
            self._stream = None
            if not self._closing.is_set():
                raise
        self._stream = None
        if self._closing.is_set():
            return None
        if isinstance(failure, DeadlineExceeded) and self._ends is not None:
            raise failure
        await self._closing.wait(self._resumption.broken(failure))
        return None

    def _left(self) -> float | None:
        return None if self._ends is None else max(0.001, self._ends - time.monotonic())

    def close(self) -> None:
        """Ends it, also while it waits for the next event."""
        self._closing.set()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
