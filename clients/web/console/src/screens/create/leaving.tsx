/** Asks before what was entered is lost. */
import { Button, Dialog, DialogActions, DialogBody, DialogContent, DialogSurface, DialogTitle } from "@fluentui/react-components";
import { useBlocker } from "@tanstack/react-router";
import type { ReactNode } from "react";

export function Leaving({ isDirty }: { isDirty: boolean }): ReactNode {
  const { status, proceed, reset } = useBlocker({
    // What is chosen here stands in the address, too, and is no leaving.
    shouldBlockFn: ({ current, next }) => isDirty && current.pathname !== next.pathname,
    enableBeforeUnload: () => isDirty,
    withResolver: true,
  });
  return (
    <Dialog open={status === "blocked"} modalType="alert" onOpenChange={(_, { open }) => !open && reset?.()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>Leave without creating it?</DialogTitle>
          <DialogContent>What you entered is kept nowhere: it is lost.</DialogContent>
          <DialogActions>
            <Button onClick={() => proceed?.()}>Leave</Button>
            <Button appearance="primary" onClick={() => reset?.()}>
              Stay
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}
