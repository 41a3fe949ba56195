/** The vault says no, or nothing: what that means and what to do. */
import { ResourceExhaustedError, SecretServiceError, UnavailableError, VaultUnavailableError } from "@iotoperations/secret-service-client";
import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { useEffect, useRef, type ReactNode } from "react";

import { Link } from "../../app/navigation";
import { Problem } from "../../ui/problem";

/** After how long the page asks again where the service doesn't say. */
const AGAIN_MS = 15_000;

const useStyles = makeStyles({ problem: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS } });

export function VaultProblem({ error, title, onRetry }: { error: unknown; title: string; onRetry: () => void }): ReactNode {
  const pause = pauseOf(error);
  useAgain(pause, onRetry, error);
  return (
    <div className={useStyles().problem}>
      <Problem error={error} title={title} onRetry={onRetry} />
      {pause !== undefined && <Text>The page asks again by itself in {Math.ceil(pause / 1_000)} seconds.</Text>}
      {isOfVault(error) && (
        <Text>
          What is synced stays at the edge meanwhile. What the service may do in the vault stands in the{" "}
          <Link to="/">overview</Link>.
        </Text>
      )}
    </div>
  );
}

/** How long to wait before asking again; nothing where that can't help. */
function pauseOf(error: unknown): number | undefined {
  const mayPass = error instanceof UnavailableError || error instanceof ResourceExhaustedError;
  return mayPass ? Math.max(error.retryAfterMs ?? AGAIN_MS, 1_000) : undefined;
}

/** Whether it is the vault that can't or won't, and not the service or the caller. */
function isOfVault(error: unknown): boolean {
  return error instanceof VaultUnavailableError || (error instanceof SecretServiceError && /^VAULT_(FORBIDDEN|FIREWALL|THROTTLED|UN)/.test(error.reason));
}

function useAgain(pause: number | undefined, onRetry: () => void, error: unknown): void {
  const again = useRef(onRetry);
  useEffect(() => {
    again.current = onRetry;
  });
  useEffect(() => {
    if (pause === undefined) {
      return;
    }
    const timer = setTimeout(() => again.current(), pause);
    return () => clearTimeout(timer);
    // Each failure is waited for anew.
  }, [pause, error]);
}
