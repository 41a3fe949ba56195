/** The scenario of all languages: through the client, and through what the contract generates alone. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { create, fromJson, toJson, type DescMethod, type DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { connect, SecretServiceClient } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";

import { BadRequestSchema, ErrorInfoSchema } from "../dist/gen/google/rpc/error_details_pb.js";
import { callWith, methodOf, refusedAs } from "./layer.js";
import { newRun } from "./run.js";
import { play, type Call } from "./scenario.js";
import { Service } from "./service.js";

let service: Service;
before(async () => {
  service = await Service.start();
});
after(() => service.remove());

test("the scenario holds through the client", async () => {
  assert((await play(newRun(), callWith(connect(service.url)))) > 10);
});

test("the scenario holds through what the contract generates alone", async () => {
  const transport = createGrpcWebTransport({ baseUrl: service.url, defaultTimeoutMs: 30_000 });
  const call: Call = async (name, request) => {
    const method = methodOf(name);
    assert(isUnary(method));
    try {
      const message = create(method.input, fromJson(method.input, request));
      const answer = await transport.unary(method, undefined, undefined, undefined, message);
      return { response: toJson(method.output, answer.message) };
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const fields = error.findDetails(BadRequestSchema).flatMap((found) => found.fieldViolations);
      return refusedAs(
        error.code,
        error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
        fields.map(({ field }) => field),
      );
    }
  };
  assert((await play(newRun(), call)) > 10);
});

test("every method of the contract has one in the client", () => {
  const own = Object.getOwnPropertyNames(SecretServiceClient.prototype);
  for (const method of SecretService.methods) {
    assert(own.includes(method.methodKind === "unary" ? method.localName : "watch"), method.name);
  }
  assert.equal(Code.NotFound, 5);
});

function isUnary(method: DescMethod): method is DescMethodUnary & DescMethod {
  return method.methodKind === "unary";
}
