import { create } from "@bufbuild/protobuf";
import { VaultSecretSchema, type VaultSecret } from "@iotoperations/secret-service-client/v1";
import { cleanup, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { show } from "../../testing";
import { useRecovery } from "./recover";

afterEach(cleanup);

function Recovering({ after }: { after: (id: string) => void }) {
  const recovering = useRecovery(after);
  return <button onClick={() => recovering.mutate({ revision: "pump-7" })}>Recover</button>;
}

test.each([true, false])("a recovery is told, and leads on only from where it was asked for (there: %s)", async (isThere) => {
  let answer = (): void => undefined;
  const recoverVaultSecret = vi.fn(() => new Promise<VaultSecret>((resolve) => (answer = () => resolve(create(VaultSecretSchema)))));
  const after = vi.fn<(id: string) => void>();
  const { told, unmount } = show(<Recovering after={after} />, { recoverVaultSecret });
  await userEvent.click(screen.getByText("Recover"));
  await waitFor(() => expect(recoverVaultSecret).toHaveBeenCalled());
  if (!isThere) {
    unmount();
  }
  answer();
  await waitFor(() => expect(told.done).toHaveBeenCalledOnce());
  expect(after.mock.calls.map(([id]) => id)).toEqual(isThere ? ["pump-7"] : []);
});
