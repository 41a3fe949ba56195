/** Signing in: before the page, and again within it where the credentials have ended. */
import {
  Button,
  Card,
  Divider,
  Field,
  makeStyles,
  MessageBar,
  MessageBarBody,
  Spinner,
  Text,
  Textarea,
  Title2,
  tokens,
} from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

import type { SignIn as Credentials } from "../session/session";
import { messageOf } from "../ui/problem";
import { useSession, useSessionState, useSettings } from "./signed-in";

const useStyles = makeStyles({
  middle: {
    display: "grid",
    placeItems: "center",
    minHeight: "100dvh",
    padding: tokens.spacingHorizontalL,
    boxSizing: "border-box",
    backgroundColor: tokens.colorNeutralBackground2,
  },
  card: { width: "min(28rem, 100%)", boxSizing: "border-box", gap: tokens.spacingVerticalL, padding: tokens.spacingHorizontalXXL },
  again: { margin: tokens.spacingHorizontalM, flexShrink: 0 },
  ways: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM },
});

/** The whole page until somebody has signed in. */
export function SignIn(): ReactNode {
  const styles = useStyles();
  return (
    <main className={styles.middle}>
      <Card className={styles.card}>
        <Title2 as="h1">Sign in to the Secret Service</Title2>
        <Ways />
      </Card>
    </main>
  );
}

/** The same above the screen, where the credentials have ended: all that was typed is still there. */
export function SignInAgain(): ReactNode {
  const styles = useStyles();
  const { status } = useSessionState();
  if (status !== "ended") {
    return null;
  }
  return (
    <Card className={styles.again} role="alert">
      <Text weight="semibold">Your sign-in has ended. Sign in again to go on; what was typed is still there.</Text>
      <Ways />
    </Card>
  );
}

/** The ways that this service offers. */
function Ways(): ReactNode {
  const styles = useStyles();
  const { kinds, oidc } = useSettings().authentication;
  const byIssuer = kinds.includes("oidc") && oidc !== undefined;
  const byToken = kinds.includes("token") || kinds.includes("oidc");
  return (
    <div className={styles.ways}>
      {byIssuer && <AtIssuer />}
      {byIssuer && byToken && <Divider>or</Divider>}
      {byToken && <ByToken />}
      {!byIssuer && !byToken && (
        <Text>
          This service knows callers by their client certificate. Install one in this browser, and load the page again.
        </Text>
      )}
    </div>
  );
}

function AtIssuer(): ReactNode {
  const session = useSession();
  const { oidc } = useSettings().authentication;
  const [state, setState] = useState<{ busy: boolean; error?: unknown }>({ busy: false });
  if (oidc === undefined) {
    return null;
  }
  const signIn = async (): Promise<void> => {
    setState({ busy: true });
    try {
      const { signInAtIssuer } = await import("../session/oidc");
      session.signIn(await signInAtIssuer(oidc));
      setState({ busy: false });
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return (
    <>
      <Button appearance="primary" disabledFocusable={state.busy} icon={state.busy ? <Spinner size="tiny" /> : null} onClick={() => void signIn()}>
        Sign in with {new URL(oidc.issuer).host}
      </Button>
      {state.error !== undefined && (
        <MessageBar intent="error" layout="multiline" role="alert">
          <MessageBarBody>{messageOf(state.error)}</MessageBarBody>
        </MessageBar>
      )}
    </>
  );
}

function ByToken(): ReactNode {
  const session = useSession();
  const [error, setError] = useState<string>();
  const signIn = (form: HTMLFormElement): void => {
    const field = form.elements.namedItem("token") as HTMLTextAreaElement;
    const token = field.value.trim().replace(/^Bearer\s+/i, "");
    // What was pasted doesn't stay in the page.
    form.reset();
    if (!/^[\w.~+/-]+=*$/.test(token)) {
      setError("That is not a token. Paste what kubectl create token prints, all of it.");
      return;
    }
    setError(undefined);
    const credentials: Credentials = { kind: "token", token };
    session.signIn(credentials);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        signIn(event.currentTarget);
      }}
    >
      <Field
        label="Token of a service account"
        hint="kubectl create token NAME --audience secret-service. It stays in the memory of this page alone."
        {...(error !== undefined && { validationMessage: error })}
      >
        <Textarea name="token" rows={3} autoComplete="off" spellCheck={false} />
      </Field>
      <Button type="submit">Sign in with the token</Button>
    </form>
  );
}
