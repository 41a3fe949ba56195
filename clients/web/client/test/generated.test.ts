/** What is checked in is what the generator writes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HOME = fileURLToPath(new URL("..", import.meta.url));

/** Every file of a directory, by its path in it. */
function read(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return new Map(files.sort().map((path) => [path, readFileSync(join(directory, path), "utf8")]));
}

test("the generated code is current", () => {
  const made = mkdtempSync(join(tmpdir(), "web-client-"));
  execFileSync(process.execPath, [join(HOME, "tools/generate.mjs"), made]);
  assert.equal(read(made).size, 2);
  assert.deepEqual(read(join(HOME, "src/gen")), read(made), "run `scripts/web-client generate`");
  rmSync(made, { recursive: true });
});
