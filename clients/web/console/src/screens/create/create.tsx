/** Create. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Create(): ReactNode {
  return <Page title="Create">{null}</Page>;
}
