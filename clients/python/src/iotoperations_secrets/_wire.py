"""Requests on their way to the wire, so that nothing that looks at a frame sees a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ._connection import SERVICE

M = TypeVar("M", bound=Message)


class Sealed(Generic[M]):
    """A request that doesn't print: error reporters print the variables of every frame they see."""

    __slots__ = ("_message",)

    def __init__(self, message: M) -> None:
        self._message = message

    def __repr__(self) -> str:
        return f"<{type(self._message).__name__}>"

    def serialize(self) -> bytes:
        """What goes over the wire."""
        return self._message.SerializeToString()


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call that has ended, for logs and metrics."""

    method: str
    request_id: str
    """The ``x-request-id`` under which the call stands in the service's log."""
    code: grpc.StatusCode
    seconds: float


def methods(channel: Any) -> dict[str, Callable[..., Any]]:
    """Every method of the contract on a channel; a request is handed over sealed."""
    return {
        method.name: (channel.unary_stream if method.server_streaming else channel.unary_unary)(
            f"/{SERVICE.full_name}/{method.name}",
            request_serializer=Sealed.serialize,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        for method in SERVICE.methods
    }
