import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { State } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema, type CreateSyncedSecretRequest, type SyncedSecret } from "@iotoperations/secret-service-client/v1";
import { cleanup, fireEvent, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { show } from "../../testing";
import type { CertificateList } from "./lists";
import { UploadDialog } from "./upload";

vi.mock("./x509", () => ({ factsOf: () => Promise.resolve([]) }));

const LIST = "plant-trust-list";
const made = create(SyncedSecretSchema, {
  name: `syncedSecrets/${LIST}`,
  state: State.SYNCED,
  generation: 1n,
  syncedGeneration: 1n,
  references: [{ key: "ca1.crt", vaultSecret: "vaultSecrets/plant-trust-list-ca1-crt" }],
});
const listOf = (secret?: SyncedSecret): CertificateList[] => [
  { id: LIST, kind: "trust", secret },
  { id: "other-trust-list", kind: "trust", secret: undefined },
];

let answers: ((answer: SyncedSecret | ConnectError) => void)[];
let asked: CreateSyncedSecretRequest[];
let onClose: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  [answers, asked, onClose] = [[], [], vi.fn<() => void>()];
});
afterEach(cleanup);

const dialog = (lists: CertificateList[]) => <UploadDialog lists={lists} list={LIST} onClose={onClose} />;

/** The dialog with one file, in front of a service that answers once the test says so. */
async function uploading() {
  const shown = show(dialog(listOf()), {
    getSyncedSecret: () => {
      throw new ConnectError("not there", Code.NotFound);
    },
    createSyncedSecret: (request: CreateSyncedSecretRequest) =>
      new Promise<SyncedSecret>((resolve, reject) => {
        asked.push(request);
        answers.push((answer) => (answer instanceof ConnectError ? reject(answer) : resolve(answer)));
      }),
  });
  await choose("ca1.crt");
  await screen.findByRole("group", { name: "ca1.crt" });
  await add();
  await waitFor(() => expect(asked).toHaveLength(1));
  return shown;
}

const choose = (name: string) => userEvent.upload(screen.getByLabelText("Certificate files"), new File(["x"], name), { applyAccept: false });
const addButton = () => screen.getByRole("button", { name: "Add to the list" });
const add = () => userEvent.click(addButton());

test("while entries are being added nothing of it can be changed, and what is told is what was added", async () => {
  const { told } = await uploading();
  for (const label of ["Certificate list", "Name in the list", "Certificate files"]) {
    expect(screen.getByLabelText(label).closest("fieldset")?.disabled).toBe(true);
  }
  const dropped = new File(["x"], "ca2.crt");
  fireEvent.drop(screen.getByText(/or drop them here/), { dataTransfer: { files: [dropped] } });
  answers[0]?.(made);
  await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
  expect(screen.queryByRole("group", { name: "ca2.crt" })).toBeNull();
  expect(told.done).toHaveBeenCalledExactlyOnceWith(`ca1.crt was added to ${LIST}.`, "The edge has it.");
});

test("an entry that the list shows before the answer is no reason for another name, and after a lost answer the same is sent again", async () => {
  const { again, told } = await uploading();
  again(dialog(listOf(made)));
  expect(screen.queryByText(/an entry with this name/)).toBeNull();
  answers[0]?.(new ConnectError("lost", Code.DeadlineExceeded));
  await screen.findByRole("alert");
  expect(screen.queryByText(/an entry with this name/)).toBeNull();
  await add();
  await waitFor(() => expect(asked).toHaveLength(2));
  expect(asked[1]?.requestId).toBe(asked[0]?.requestId);
  answers[1]?.(made);
  await waitFor(() => expect(told.done).toHaveBeenCalledOnce());
});

test("an entry that was there before needs another name", async () => {
  show(dialog(listOf(made)), {});
  await choose("ca1.crt");
  await screen.findByText(/an entry with this name/);
  expect(addButton().getAttribute("aria-disabled")).toBe("true");
});

test("whoever has gone on is told how it ended, and finds nothing closed", async () => {
  const { told, unmount } = await uploading();
  unmount();
  answers[0]?.(made);
  await waitFor(() => expect(told.done).toHaveBeenCalledOnce());
  expect(onClose).not.toHaveBeenCalled();
});
