/** Whose uses nobody knows: beside whatever says what uses a secret. */
import { MessageBar, MessageBarBody, MessageBarTitle } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { useUnreadKinds } from "../api/hooks";

export function UnreadKinds(): ReactNode {
  const unread = useUnreadKinds();
  return unread.length === 0 ? null : (
    <MessageBar intent="warning" layout="multiline">
      <MessageBarBody>
        <MessageBarTitle>Maybe not all uses are known.</MessageBarTitle> The service can’t read {unread.join(", ")}. Why, and what to do, stands under
        “Uses” of each synced secret.
      </MessageBarBody>
    </MessageBar>
  );
}
