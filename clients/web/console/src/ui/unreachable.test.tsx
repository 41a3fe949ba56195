import { create } from "@bufbuild/protobuf";
import { ListSecretUsagesResponseSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { useUsages } from "../api/hooks";
import { show } from "../testing";
import { Unreachable } from "./unreachable";

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
      <Unreachable />
    </>,
    { listSecretUsages },
  );
  await waitFor(() => expect(screen.getByText("one,two")).toBeDefined());
  expect(screen.getByText(/can't read DataflowEndpoint.example: what uses secrets/)).toBeDefined();
  expect(listSecretUsages).toHaveBeenCalledTimes(2);
});

test("a list that has all says nothing", async () => {
  show(
    <>
      <Uses />
      <Unreachable />
    </>,
    { listSecretUsages: () => create(ListSecretUsagesResponseSchema, { usages: [{ resource: "one" }] }) },
  );
  await waitFor(() => expect(screen.getByText("one")).toBeDefined());
  expect(screen.queryByText(/Not all uses are known/)).toBeNull();
});
