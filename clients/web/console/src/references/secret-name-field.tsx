/** "Secret name": checked while it is typed, with what can be done where it is taken. */
import { Button, Field, Input, makeStyles, Spinner, tokens } from "@fluentui/react-components";
import { CheckmarkRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { useChange } from "../api/change";
import { useClient } from "../api/connection";
import { useNotify } from "../ui/notify";
import { messageOf } from "../ui/problem";
import type { NameState } from "./vault-secret-name";

const useStyles = makeStyles({ ways: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS, marginTop: tokens.spacingVerticalXS } });

interface SecretNameFieldProps {
  readonly name: string;
  readonly state: NameState;
  readonly onChange: (name: string) => void;
  /** Takes the vault secret that has the name already. */
  readonly onUseExisting?: ((vaultSecret: string) => void) | undefined;
  /** Whether to say that it is empty. */
  readonly checked: boolean;
}

export function SecretNameField({ name, state, onChange, onUseExisting, checked }: SecretNameFieldProps): ReactNode {
  const styles = useStyles();
  const { kind, text } = saidOf(state, checked);
  return (
    <div>
      <Field
        label="Secret name"
        required
        hint="Its name in Azure Key Vault: letters, digits and hyphens."
        {...(text !== undefined && { validationMessage: text, validationState: kind })}
        {...(state.state === "free" && { validationMessageIcon: <CheckmarkRegular /> })}
        {...(state.state === "checking" && { validationMessageIcon: <Spinner size="extra-tiny" /> })}
      >
        <Input value={name} autoComplete="off" spellCheck={false} onChange={(_, { value }) => onChange(value)} />
      </Field>
      {(state.state === "taken" || state.state === "deleted") && (
        <div className={styles.ways}>
          {state.state === "taken" && onUseExisting !== undefined && (
            <Button size="small" onClick={() => onUseExisting(name)}>
              Use the existing one
            </Button>
          )}
          {state.state === "deleted" && <RecoverButton name={name} />}
        </div>
      )}
    </div>
  );
}

/** Brings the deleted secret back; the name is then taken by it. */
function RecoverButton({ name }: { name: string }): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const recover = useChange(
    (_: { revision: string }, requestId) => client.recoverVaultSecret(`vaultSecrets/${name}`, { requestId, timeoutMs: 60_000 }),
    { onDone: () => notify.done(`${name} is back in Azure Key Vault.`) },
  );
  return (
    <Field {...(recover.error !== null && { validationMessage: messageOf(recover.error) })}>
      <Button size="small" disabledFocusable={recover.isPending} onClick={() => recover.mutate({ revision: name })}>
        {recover.isPending ? "Recovering…" : "Recover it, with its versions"}
      </Button>
    </Field>
  );
}

function saidOf(state: NameState, checked: boolean): { kind: "error" | "warning" | "success" | "none"; text?: string } {
  switch (state.state) {
    case "empty":
      return checked ? { kind: "error", text: "Give it a name." } : { kind: "none" };
    case "checking":
      return { kind: "none", text: "Looking whether it is free…" };
    case "free":
      return { kind: "success", text: "The name is free." };
    case "unknown":
      return { kind: "warning", text: `Whether the name is free is unknown. ${state.message}` };
    case "deleted":
      return { kind: "error", text: `${state.message} Recover it, or choose another name.` };
    case "taken":
      return { kind: "error", text: `${state.message} Creating never overwrites it: choose another name.` };
    case "invalid":
      return { kind: "error", text: state.message };
  }
}
