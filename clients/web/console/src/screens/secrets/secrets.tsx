/** Secrets. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Secrets(): ReactNode {
  return <Page title="Secrets">{null}</Page>;
}
