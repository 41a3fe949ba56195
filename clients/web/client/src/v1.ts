/** What the contract generates: messages, enums and the service, for `createClient` of `@connectrpc/connect`. */
export * from "./gen/iotoperations/secrets/v1/secret_service_pb.js";
