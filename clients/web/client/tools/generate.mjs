// Writes the TypeScript of the contract and of the error details: into src/gen, or into the directory that is named.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const home = dirname(dirname(fileURLToPath(import.meta.url)));
const into = resolve(process.argv[2] ?? join(home, "src/gen"));
const buf = join(home, "../node_modules/.bin/buf");

rmSync(into, { recursive: true, force: true });
for (const protos of [join(home, "../../../proto"), join(home, "proto")]) {
  execFileSync(buf, ["generate", protos, "--template", "buf.gen.yaml", "--output", into], { cwd: home, stdio: "inherit" });
}
