/** Vault. */
import type { ReactNode } from "react";

import { Page } from "../../ui/page";

export function Vault(): ReactNode {
  return <Page title="Vault">{null}</Page>;
}
