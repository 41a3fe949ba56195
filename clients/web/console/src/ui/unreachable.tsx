/** A list of uses that may lack some says so. */
import { MessageBar, MessageBarBody, MessageBarTitle } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { useUnreachable } from "../api/hooks";

/** The kinds that the service can't read; nothing where it can read all. */
export function Unreachable(): ReactNode {
  const unreachable = useUnreachable();
  return (
    unreachable.length > 0 && (
      <MessageBar intent="warning" layout="multiline">
        <MessageBarBody>
          <MessageBarTitle>Not all uses are known.</MessageBarTitle> The service can&apos;t read {unreachable.join(", ")}: what uses secrets
          there is missing here. The condition “In use” of a synced secret and <code>secret-service check</code> say what to do.
        </MessageBarBody>
      </MessageBar>
    )
  );
}
