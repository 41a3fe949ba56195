/** Activity. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Activity(): ReactNode {
  return <Page title="Activity">{null}</Page>;
}
