/** Asks before what was entered is lost. */
import { Button } from "@fluentui/react-components";
import { useBlocker } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { CloseButton, Dialog } from "../../ui/dialog";

export function Leaving({ isDirty }: { isDirty: boolean }): ReactNode {
  const { status, proceed, reset } = useBlocker({
    // What is chosen here stands in the address, too, and is no leaving.
    shouldBlockFn: ({ current, next }) => isDirty && current.pathname !== next.pathname,
    enableBeforeUnload: () => isDirty,
    withResolver: true,
  });
  return (
    <Dialog
      open={status === "blocked"}
      onClose={() => reset?.()}
      stays
      title="Leave without creating it?"
      actions={
        <>
          <Button onClick={() => proceed?.()}>Leave</Button>
          <CloseButton appearance="primary">Stay</CloseButton>
        </>
      }
    >
      What you entered is kept nowhere: it is lost.
    </Dialog>
  );
}
