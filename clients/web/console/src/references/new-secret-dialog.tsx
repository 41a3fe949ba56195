/** "Create new": a secret for Azure Key Vault, for a reference or alone, or a new version of one. */
import { useState, type ReactNode } from "react";

import { DialogShell } from "../ui/dialog";
import { NewSecretForm } from "./new-secret-form";
import type { NewSecretDraft } from "./secret-draft";

export interface NewSecretDialogProps {
  readonly open: boolean;
  /** Told when it closes, by whatever way. */
  readonly onClose: () => void;
  /**
   * `reference`: it is created together with a synced secret, later. `vault-secret`: `onSubmit` creates it now. `version`: `onSubmit`
   * adds a version to the vault secret `vaultSecret`.
   */
  readonly use: "reference" | "vault-secret" | "version";
  /** The name of the vault secret that gets a version, without `vaultSecrets/`. */
  readonly vaultSecret?: string;
  /** What it is for, in the title: "Username reference". */
  readonly title?: string;
  readonly proposedName?: string;
  /** Whether the value has several lines, as a certificate has. */
  readonly multiline?: boolean;
  /** Names that the same form creates already. */
  readonly takenNames?: readonly string[];
  /** What was handed over before, to change it; its value stays where no other is given. */
  readonly initial?: NewSecretDraft;
  /**
   * Takes what was entered. Where it returns a promise, the dialog stays until that has ended, and shows why where it failed, with
   * everything still in place. The same content has the same `revision`, for `useChange`.
   */
  readonly onSubmit: (draft: NewSecretDraft) => unknown;
  /** Offers to refer to the vault secret that has the name already. */
  readonly onUseExisting?: (vaultSecret: string) => void;
}

export function NewSecretDialog(props: NewSecretDialogProps): ReactNode {
  const { open, onClose } = props;
  const [busy, setBusy] = useState(false);
  return (
    <DialogShell open={open} onClose={onClose} stays busy={busy}>
      <NewSecretForm {...props} busy={busy} onBusy={setBusy} />
    </DialogShell>
  );
}
