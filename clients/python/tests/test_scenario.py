"""The scenario of all languages: through the client, through the one for asyncio, through plain stubs."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2

import iotoperations_secrets as secrets
from iotoperations_secrets.v1 import secret_service_pb2 as pb
from iotoperations_secrets.v1 import secret_service_pb2_grpc as stubs

from . import layer, scenario
from .service import Service


def test_the_scenario_holds_through_the_client(client: secrets.SecretServiceClient, run: str) -> None:
    assert scenario.play(run, layer.call_with(client)) > 10


def test_the_scenario_holds_through_the_client_for_asyncio(service: Service, run: str) -> None:
    loop = asyncio.new_event_loop()

    async def connected() -> secrets.aio.SecretServiceClient:
        return secrets.aio.connect(service.target)

    client = loop.run_until_complete(connected())
    try:
        assert scenario.play(run, layer.call_with_aio(client, loop.run_until_complete)) > 10
    finally:
        loop.run_until_complete(client.close())
        loop.close()


def test_the_scenario_holds_through_the_generated_stubs_alone(service: Service, run: str) -> None:
    with grpc.insecure_channel(service.target) as channel:
        stub = stubs.SecretServiceStub(channel)

        def call(method: str, request: Any) -> dict[str, Any]:
            message = ParseDict(request, getattr(pb, f"{method}Request")())
            try:
                return {"response": MessageToDict(getattr(stub, method)(message, timeout=30))}
            except grpc.RpcError as error:
                return {"error": _error(error)}

        assert scenario.play(run, call) > 10


def _error(error: Any) -> dict[str, Any]:
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    found = {"code": error.code().name, "reason": "", "fields": []}
    for packed in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if packed.Unpack(info):
            found["reason"] = info.reason
        elif packed.Unpack(bad):
            found["fields"] = [violation.field for violation in bad.field_violations]
    return found


def test_every_method_of_the_contract_has_one_in_both_clients() -> None:
    for method in pb.DESCRIPTOR.services_by_name["SecretService"].methods:
        name = "watch" if method.server_streaming else layer._snake(method.name)
        assert name in layer.methods_of(secrets.SecretServiceClient)
        assert name in layer.methods_of(secrets.aio.SecretServiceClient)
