/** Secret. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Secret(): ReactNode {
  return <Page title="Secret">{null}</Page>;
}
