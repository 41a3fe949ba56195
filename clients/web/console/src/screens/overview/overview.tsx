/** Overview. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Overview(): ReactNode {
  return <Page title="Overview">{null}</Page>;
}
