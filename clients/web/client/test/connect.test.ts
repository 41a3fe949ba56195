/** How to reach the service: what goes together, and tokens. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, UnavailableError } from "@iotoperations/secret-service-client";

const HTTPS = "https://secrets.example/api/";

/** A fetch that keeps what it is given and answers nothing. */
function keeping(sent: { url: string; headers: Headers }[]): typeof fetch {
  return (url, init) => {
    assert(typeof url === "string");
    sent.push({ url, headers: new Headers(init?.headers) });
    return Promise.reject(new TypeError("Failed to fetch"));
  };
}

test("values pass no network in the clear and tokens no plaintext, unless someone says so", () => {
  for (const url of ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://secrets.example"]) {
    connect(url);
  }
  assert.throws(() => connect("http://secrets.example"), /use https/);
  assert.throws(() => connect("http://127.0.0.1.example:1"), /use https/);
  connect("http://secrets.example", { insecure: true });
  assert.throws(() => connect("http://127.0.0.1:1", { token: "t" }), /https only/);
  assert.throws(() => connect("http://secrets.example", { token: "t", insecure: true }), /https only/);
  for (const url of ["ftp://secrets.example", "https://user@secrets.example", "https://secrets.example/?a"]) {
    assert.throws(() => connect(url), TypeError);
  }
});

test("a token is asked for at every attempt, so that a renewed one counts at once", async () => {
  const sent: { url: string; headers: Headers }[] = [];
  let number = 0;
  const client = connect(HTTPS, { fetch: keeping(sent), token: () => `t-${String(++number)}` });
  await assert.rejects(client.getVault(), UnavailableError);
  assert.deepEqual(
    sent.map(({ headers }) => headers.get("authorization")),
    ["Bearer t-1", "Bearer t-2", "Bearer t-3", "Bearer t-4"],
  );
  assert.equal(sent[0]?.url, "https://secrets.example/api/iotoperations.secrets.v1.SecretService/GetVault");
});

test("a token that can't be had is an error that doesn't say what was thrown", async () => {
  const sent: { url: string; headers: Headers }[] = [];
  const token = (): never => {
    throw new Error("canary-9");
  };
  const call = connect(HTTPS, { fetch: keeping(sent), token }).getVault({ timeoutMs: 100 });
  await assert.rejects(call, (error) => {
    assert(error instanceof UnavailableError);
    assert.equal(error.reason, "TOKEN_UNAVAILABLE");
    assert.doesNotMatch(error.message, /canary/);
    return true;
  });
  assert.equal(sent.length, 0);
});

test("an error names the service and no more of the address", async () => {
  const call = connect(HTTPS, { fetch: keeping([]) }).getVault({ timeoutMs: 100 });
  await assert.rejects(call, /at https:\/\/secrets\.example\/api can't be reached/);
});
