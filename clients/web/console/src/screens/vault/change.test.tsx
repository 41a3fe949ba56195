import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, Code } from "@connectrpc/connect";
import { VaultSecretVersionSchema, type UpdateVaultSecretRequest, type VaultSecretVersion } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { show } from "../../testing";
import { ChangeDialog } from "./change";

afterEach(cleanup);

const of = (id: string, rest: MessageInitShape<typeof VaultSecretVersionSchema>): VaultSecretVersion =>
  create(VaultSecretVersionSchema, { name: `vaultSecrets/pass/versions/${id}`, enabled: true, ...rest });

/** The dialog in front of a vault that has these versions, and what it was told. */
function changing(version: VaultSecretVersion, vault: VaultSecretVersion[]) {
  const sent: UpdateVaultSecretRequest[] = [];
  const onClose = vi.fn();
  const failures: ConnectError[] = [];
  const service = {
    listVaultSecretVersions: () => ({ versions: vault }),
    updateVaultSecret: (request: UpdateVaultSecretRequest) => {
      sent.push(request);
      const failure = failures.shift();
      if (failure) {
        throw failure;
      }
      return version;
    },
  };
  const dialog = (standing: "latest" | "older") => <ChangeDialog id="pass" version={version} standing={standing} onClose={onClose} />;
  const { again, told } = show(dialog("latest"), service);
  return { sent, onClose, told, failures, another: () => again(dialog("older")) };
}

const save = () => userEvent.click(screen.getByRole("button", { name: "Save" }));
const tags = () => screen.getByLabelText<HTMLTextAreaElement>("Tags");

test("tags that somebody else wrote meanwhile stay", async () => {
  const { sent, onClose } = changing(of("v1", { tags: { line: "4" } }), [of("v0", {}), of("v1", { tags: { line: "4", owner: "anna" } })]);
  await userEvent.type(tags(), "\nplant=Hamburg");
  await save();
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(sent[0]?.vaultSecret?.tags).toEqual({ line: "4", owner: "anna", plant: "Hamburg" });
  expect(sent[0]?.updateMask?.paths).toEqual(["tags"]);
});

test("what both changed is shown before either is overwritten, and the rest of theirs comes in", async () => {
  const { sent, onClose } = changing(of("v1", { contentType: "a" }), [of("v1", { contentType: "theirs", tags: { owner: "anna" } })]);
  await userEvent.clear(screen.getByLabelText("Content type"));
  await userEvent.type(screen.getByLabelText("Content type"), "mine");
  await save();
  expect((await screen.findByRole("alert")).textContent).toContain("content type “theirs”");
  expect(sent).toEqual([]);
  expect(screen.getByLabelText<HTMLInputElement>("Content type").value).toBe("mine");
  expect(tags().value).toBe("owner=anna");
  await save();
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(sent.map(({ vaultSecret, updateMask }) => [vaultSecret?.contentType, updateMask?.paths])).toEqual([["mine", ["content_type"]]]);
});

test("what was decided for a version is written to it, also where a newer one is there by then", async () => {
  const { sent, another } = changing(of("v1", { contentType: "a" }), [of("v1", { contentType: "a" }), of("v2", { contentType: "of-v2" })]);
  await userEvent.type(screen.getByLabelText("Content type"), "b");
  expect(screen.queryByText(/newer version/)).toBeNull();
  another();
  expect(screen.getByText(/newer version/)).toBeDefined();
  await save();
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(sent[0]).toMatchObject({ version: "v1", vaultSecret: { contentType: "ab" } });
});

test("after an attempt whose answer was lost, what the vault has already is not written again", async () => {
  const vault = [of("v1", { contentType: "a" })];
  const { sent, onClose, told, failures } = changing(of("v1", { contentType: "a" }), vault);
  failures.push(new ConnectError("lost", Code.DeadlineExceeded));
  await userEvent.type(screen.getByLabelText("Content type"), "b");
  await save();
  await screen.findByRole("alert");
  vault[0] = of("v1", { contentType: "ab" });
  await save();
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(told.done).toHaveBeenCalledWith("The attributes of pass were changed.");
  expect(sent).toHaveLength(1);
});

test("dates that were wrong before keep nobody from changing something else", async () => {
  const [notBeforeTime, expireTime] = [{ seconds: 2_000_000_000n }, { seconds: 1_900_000_000n }];
  const { sent } = changing(of("v1", { notBeforeTime, expireTime }), [of("v1", { notBeforeTime, expireTime })]);
  await userEvent.type(tags(), "plant=Hamburg");
  await save();
  await waitFor(() => expect(sent).toHaveLength(1));
});
