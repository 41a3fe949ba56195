/** VaultSecret. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function VaultSecret(): ReactNode {
  return <Page title="VaultSecret">{null}</Page>;
}
