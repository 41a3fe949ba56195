/** Uses. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Uses(): ReactNode {
  return <Page title="Uses">{null}</Page>;
}
