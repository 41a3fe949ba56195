/** Every action as a command line that does the same: of the CLI, and of grpcurl. Never with a value in it. */
import { create, toJson, type DescMessage, type DescMethod, type JsonObject, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";

/** An action's lines. */
export interface Command {
  /** Of `secret-service`. */
  readonly cli: string;
  readonly grpcurl: string;
}

/** What stands in the place of a value. */
export const PLACEHOLDER = "THE-VALUE";
/** The environment variable that both tools can take a token from. */
const TOKEN = "SECRET_SERVICE_TOKEN";

/**
 * The lines of a call. `words` are the CLI's, without `secret-service`: `["secrets", "sync", "edp1secrets"]`. `withToken` says
 * whether the caller shows a token.
 */
export function commandOf<I extends DescMessage>(
  method: DescMethod & { readonly input: I },
  request: MessageInitShape<I>,
  words: readonly string[],
  { origin = window.location.origin, withToken = false } = {},
): Command {
  const { host, protocol, hostname, port } = new URL(origin);
  const isSecure = protocol === "https:";
  const address = port === "" ? `${hostname}:${isSecure ? 443 : 80}` : host;
  const cli = ["secret-service", ...words, "--address", address, ...(isSecure ? ["--tls"] : [])];
  const json = JSON.stringify(withoutValues(toJson(method.input, create(method.input, request), { useProtoFieldName: true })));
  const grpcurl = [
    "grpcurl",
    ...(isSecure ? [] : ["-plaintext"]),
    ...(json === "{}" ? [] : ["-d", json]),
    address,
    `${method.parent.typeName}/${method.name}`,
  ].map(quoted);
  // Not quoted: the shell puts the token in its place.
  const header = withToken ? ["-H", `"authorization: Bearer $${TOKEN}"`] : [];
  grpcurl.splice(1, 0, ...header);
  return { cli: cli.map(quoted).join(" "), grpcurl: grpcurl.join(" ") };
}

/** A word as a POSIX shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The request without what may be a value, and without the request id, which each call has of its own. */
function withoutValues(json: JsonValue): JsonValue {
  if (Array.isArray(json)) {
    return json.map(withoutValues);
  }
  if (typeof json !== "object" || json === null) {
    return json;
  }
  const kept: JsonObject = {};
  for (const [name, part] of Object.entries(json)) {
    if (name === "create" || name === "secret") {
      kept[name] = hidden(part);
    } else if (name === "update_mask" && typeof part === "string") {
      kept[name] = maskOf(part);
    } else if (name !== "request_id") {
      kept[name] = withoutValues(part);
    }
  }
  return kept;
}

/** A mask as a message: grpcurl doesn't read the text that JSON has for it. */
function maskOf(text: string): JsonObject {
  const paths = text.split(",").map((path) => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  return { paths };
}

/** A new vault secret with a placeholder for its value. */
function hidden(secret: JsonValue): JsonValue {
  if (typeof secret !== "object" || secret === null || Array.isArray(secret)) {
    return secret;
  }
  const { data, ...rest } = secret;
  return { ...rest, ...(data === undefined ? { value: PLACEHOLDER } : { data: btoa(PLACEHOLDER) }) };
}
