"""A server of the contract that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from iotoperations_secrets.v1 import secret_service_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["SecretService"]
DOMAIN = "secret-service.iotoperations"
Answer = Callable[[Any, grpc.ServicerContext], Any]


class Refusal(Exception):  # noqa: N818
    """An error as the service sends it."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        *details: Message,
        message: str = "It is so. Do something.",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(reason)
        info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata={"resource": "syncedSecrets/a"})
        retry = [] if retry_after is None else [error_details_pb2.RetryInfo(retry_delay=Duration(seconds=retry_after))]
        self.code, self.message = code, message
        self.status = status_pb2.Status(code=code.value[0], message=message)
        for detail in (info, *retry, *details):
            packed = Packed()
            packed.Pack(detail)
            self.status.details.append(packed)

    def send(self, context: grpc.ServicerContext) -> NoReturn:
        """Ends the call with it."""
        context.set_trailing_metadata((("grpc-status-details-bin", self.status.SerializeToString()),))
        context.abort(self.code, self.message)
        raise AssertionError


class Fake:
    """Give it answers in order: messages, refusals, functions, or lists of them for a watch. The last one stays."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0") -> None:
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.answers: list[Any] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        self.target = address if address.startswith("unix:") else f"127.0.0.1:{port}"

    def _handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        handlers = {}
        for method in SERVICE.methods:
            kind = (
                grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
            )
            handlers[method.name] = kind(
                self._stream if method.server_streaming else self._next,
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
        return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)

    def __enter__(self) -> Fake:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def _next(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Refusal):
            answer.send(context)
        return answer(request, context) if callable(answer) else answer

    def _stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        answer = self._next(request, context)
        for item in answer if isinstance(answer, Sequence) else [answer]:
            if isinstance(item, Refusal):
                item.send(context)
            yield item


def event(kind: str, name: str = "", token: str = "") -> pb.WatchSyncedSecretsResponse:
    """What a watcher is sent."""
    secret = pb.SyncedSecret(name=f"syncedSecrets/{name}") if name else None
    return pb.WatchSyncedSecretsResponse(
        type=pb.WatchSyncedSecretsResponse.Type.Value(f"TYPE_{kind}"), synced_secret=secret, resume_token=token
    )


def violations(*fields: str) -> error_details_pb2.BadRequest:
    """What is wrong with fields."""
    found: Iterable[Any] = [
        error_details_pb2.BadRequest.FieldViolation(field=field, description="No.") for field in fields
    ]
    return error_details_pb2.BadRequest(field_violations=found)
