import { create } from "@bufbuild/protobuf";
import { ListSecretUsagesResponseSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { useUsages } from "../api/hooks";
import { show } from "../testing";
import { UnreadKinds } from "./unread";

afterEach(cleanup);

function Uses() {
  return <p>{useUsages().data?.map(({ resource }) => resource).join() ?? "looking"}</p>;
}

test("a list of uses says which kinds it lacks, whatever page told of them", async () => {
  const pages = [
    { usages: [{ resource: "one" }], nextPageToken: "2", unreachable: ["DataflowEndpoint.example"] },
    { usages: [{ resource: "two" }], unreachable: ["DataflowEndpoint.example"] },
  ].map((page) => create(ListSecretUsagesResponseSchema, page));
  const listSecretUsages = vi.fn(({ pageToken }: { pageToken: string }) => pages[pageToken === "" ? 0 : 1] ?? {});
  show(
    <>
      <Uses />
      <UnreadKinds />
    </>,
    { listSecretUsages },
  );
  await waitFor(() => expect(screen.getByText("one,two")).toBeDefined());
  expect(screen.getByText(/can’t read DataflowEndpoint.example/)).toBeDefined();
  expect(listSecretUsages).toHaveBeenCalledTimes(2);
});

test("a list that has all says nothing", async () => {
  show(
    <>
      <Uses />
      <UnreadKinds />
    </>,
    { listSecretUsages: () => create(ListSecretUsagesResponseSchema, { usages: [{ resource: "one" }] }) },
  );
  await waitFor(() => expect(screen.getByText("one")).toBeDefined());
  expect(screen.queryByText(/Maybe not all uses are known/)).toBeNull();
});
