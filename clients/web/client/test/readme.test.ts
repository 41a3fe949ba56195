/** The README's TypeScript, word for word: it runs, and it is held to the strict rules of types. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Service } from "./service.js";

const HOME = fileURLToPath(new URL("..", import.meta.url));
const ADDRESS = "http://127.0.0.1:50051";
const BLOCKS = [...readFileSync(join(HOME, "README.md"), "utf8").matchAll(/```ts\n(.*?)```/gs)].map(
  ([, block]) => block ?? "",
);

let service: Service;
before(async () => {
  service = await Service.start();
});
after(() => service.remove());

test("the readme runs word for word", async () => {
  // Inside the package, where its own name is found.
  const directory = join(HOME, "build/readme");
  mkdirSync(directory, { recursive: true });
  const printed: string[] = [];
  for (const [number, block] of BLOCKS.entries()) {
    const file = join(directory, `${String(number)}.mjs`);
    writeFileSync(file, block.replaceAll(ADDRESS, service.url));
    printed.push((await promisify(execFile)(process.execPath, [file], { timeout: 60_000 })).stdout);
  }
  const [stories, watch, change, single, wait] = printed;
  assert.match(stories ?? "", /press-5 SYNCED user password/);
  assert.match(watch ?? "", /'syncedSecrets\/historian' => 'SYNCED'/);
  assert.doesNotMatch(watch ?? "", /press-5/, "it was deleted");
  assert.match(change ?? "", /historian has \{ line: '4' \}/);
  assert.match(single ?? "", /syncedSecrets\/plant-trust-list has ca\.der/);
  assert.match(wait ?? "", /historian is at the edge, generation 2n\nSYNCED_SECRET_NOT_FOUND syncedSecrets\/nowhere/);
});

test("the readme is as strictly typed as the package", () => {
  const directory = join(HOME, "build/readme-types");
  mkdirSync(directory, { recursive: true });
  BLOCKS.forEach((block, number) => {
    writeFileSync(join(directory, `${String(number)}.ts`), block);
  });
  const compilerOptions = { noEmit: true, types: ["node"] };
  const config = { extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"], exclude: [] };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(HOME, "../node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", directory], { stdio: "inherit" });
});

test("the three stories take about a dozen lines", () => {
  const lines = (BLOCKS[0] ?? "").split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("//"));
  assert(lines.length <= 15, String(lines.length));
});
