import { create } from "@bufbuild/protobuf";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";

import { show } from "../../testing";
import { entriesOf, type Entry } from "./lists";
import { RemoveDialog, UsersOfList } from "./remove";
import { ReplaceDialog } from "./replace";

afterEach(cleanup);

function entry(vaultSecret: string): Entry {
  const references = [
    { key: "pump.der", vaultSecret },
    { key: "rest.der", vaultSecret: "vaultSecrets/rest" },
  ];
  const secret = create(SyncedSecretSchema, { name: "syncedSecrets/a-trust-list", references });
  const [first] = entriesOf([{ id: "a-trust-list", kind: "trust", secret }]);
  if (first === undefined) {
    throw new Error("it has one");
  }
  return first;
}

const seen = entry("vaultSecrets/a");
const onClose = () => undefined;
const button = (name: string) => screen.getByRole("button", { name });

test.each([
  ["Remove", (now: Entry | undefined) => <RemoveDialog entry={seen} now={now} onClose={onClose} />],
  ["Replace", (now: Entry | undefined) => <ReplaceDialog entry={seen} now={now} onClose={onClose} />],
])("%s is for the entry that was chosen, not for what somebody put in its place", (name, dialog) => {
  const { again } = show(dialog(seen), { listSecretUsages: () => ({}) });
  expect(screen.queryByRole("alert")).toBeNull();
  again(dialog(entry("vaultSecrets/b")));
  expect(screen.getByRole("alert").textContent).toContain("Somebody changed pump.der meanwhile");
  expect(button(name).getAttribute("aria-disabled")).toBe("true");
  again(dialog(undefined));
  expect(screen.getByRole("alert").textContent).toContain("pump.der is no longer in the list.");
  again(dialog(seen));
  expect(screen.queryByRole("alert")).toBeNull();
});

test("who uses a list is not known where the service can't read a kind", async () => {
  show(<UsersOfList id="a-trust-list" />, { listSecretUsages: () => ({}) });
  await screen.findByText("No resource uses the list.");
  cleanup();
  show(<UsersOfList id="a-trust-list" />, { listSecretUsages: () => ({ unreachable: ["DataflowEndpoint.connectivity.iotoperations.azure.com"] }) });
  await screen.findByText("No resource is known to use the list.");
  expect(screen.getByText(/can’t read DataflowEndpoint/)).toBeDefined();
});
