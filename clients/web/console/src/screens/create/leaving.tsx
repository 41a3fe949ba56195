/** Asks before what was entered is lost, or what is being done is out of sight. */
import { Button } from "@fluentui/react-components";
import { useBlocker } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { CloseButton, Dialog } from "../../ui/dialog";

interface LeavingProps {
  readonly isDirty: boolean;
  /** Whether the service is creating it. */
  readonly isCreating: boolean;
}

export function Leaving({ isDirty, isCreating }: LeavingProps): ReactNode {
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
      title={isCreating ? "Leave while it is being created?" : "Leave without creating it?"}
      actions={
        <>
          <Button onClick={() => proceed?.()}>Leave</Button>
          <CloseButton appearance="primary">Stay</CloseButton>
        </>
      }
    >
      {isCreating
        ? "The service goes on creating it, and a message tells how that ends. What you entered is lost, also if it fails."
        : "What you entered is kept nowhere: it is lost."}
    </Dialog>
  );
}
