/**
 * A `dev` with ten thousand synced secrets. To create them one by one takes minutes of a build that is not optimised, so the first
 * one is created, and the database is filled with others like it while the service is down. Its vault then answers after a minute:
 * the service, which finds none of them in the cluster, doesn't spend the processor on them meanwhile.
 */
import { execFileSync, spawnSync } from "node:child_process";

import { existing } from "@iotoperations/secret-service-client";

import { Dev } from "./dev";

/** How many. */
export const CROWD = 10_000;

const FILL = `
import sqlite3, sys
database, count = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
columns = lambda table: [row[1] for row in database.execute("PRAGMA table_info(%s)" % table)]
uid = "printf('01a21ed7-c724-700c-8b79-%012x', n.i)"
of_secret = {
    "uid": uid,
    "id": "printf('line-%d-pump-%05d', n.i % 40, n.i)",
    "state": "CASE WHEN n.i % 50 = 0 THEN 'FAILED' WHEN n.i % 20 = 0 THEN 'DEGRADED' WHEN n.i % 33 = 0 THEN 'PENDING' ELSE 'SYNCED' END",
}
of_reference = {"uid": uid, "vault_secret": "printf('pump-%05d-password', n.i)"}
with database:
    for table, changed in (("synced_secrets", of_secret), ("secret_references", of_reference)):
        names = columns(table)
        values = ", ".join(changed.get(name, "one." + name) for name in names)
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO %s (%s) SELECT %s FROM n, %s AS one" % (table, ", ".join(names), values, table),
            (count - 1,),
        )
`;

/** Whether there is a Python to fill the database with. */
export function canCrowd(): boolean {
  return spawnSync("python3", ["-c", "import sqlite3"]).status === 0;
}

/** Starts it. */
export async function crowded(): Promise<Dev> {
  const dev = new Dev(["--interval=1h"]);
  await dev.start();
  await dev.client.createSyncedSecret("line-0-pump-00000", [existing("password", "vaultSecrets/pump-7-password")], { waitMs: 20_000 });
  await dev.kill();
  execFileSync("python3", ["-c", FILL, dev.endpoints.database, String(CROWD)]);
  dev.options = ["--interval=1h", "--vault-latency-ms=60000"];
  await dev.start();
  return dev;
}
