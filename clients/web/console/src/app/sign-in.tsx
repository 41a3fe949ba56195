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
import { UnauthenticatedError } from "@iotoperations/secret-service-client";
import { useState, type ReactNode } from "react";

import { enter } from "../session/enter";
import { waysOf } from "../session/ways";
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
  const { status, isNamed } = useSessionState();
  if (status !== "ended") {
    return null;
  }
  return (
    <Card className={styles.again} role="alert">
      {isNamed ? (
        <>
          <Text weight="semibold">Your sign-in has ended. Sign in again to go on; what was typed is still there.</Text>
          <Text>If somebody else signs in, the page begins anew, without it.</Text>
        </>
      ) : (
        <>
          <Text weight="semibold">Your sign-in has ended. Sign in again to go on.</Text>
          <Text>The service has not said who you are, so the page can't know you again: it begins anew, without what was typed.</Text>
        </>
      )}
      <Ways />
    </Card>
  );
}

/** The ways that this service offers. */
function Ways(): ReactNode {
  const styles = useStyles();
  const { byIssuer, byToken, byCertificate } = waysOf(useSettings().authentication);
  return (
    <div className={styles.ways}>
      {byIssuer && <AtIssuer />}
      {byIssuer && byToken && <Divider>or</Divider>}
      {byToken && <ByToken />}
      {byToken && byCertificate && <Divider>or</Divider>}
      {byCertificate && !byToken && <Text>This service knows callers by their client certificate. Install one in this browser.</Text>}
      {byCertificate && <ByCertificate />}
    </div>
  );
}

function AtIssuer(): ReactNode {
  const session = useSession();
  const { oidc } = useSettings().authentication;
  // Loaded before the click: a browser opens a window right after one, and not after a download.
  const [signingIn] = useState(() => import("../session/oidc"));
  const [waiting, setWaiting] = useState<AbortController>();
  const [error, setError] = useState<unknown>();
  if (oidc === undefined) {
    return null;
  }
  const signIn = async (): Promise<void> => {
    const cancel = new AbortController();
    setWaiting(cancel);
    setError(undefined);
    try {
      const { signInAtIssuer } = await signingIn;
      await enter(session, await signInAtIssuer(oidc, cancel.signal), { signal: cancel.signal });
    } catch (thrown) {
      setError(cancel.signal.aborted ? undefined : thrown);
    } finally {
      setWaiting(undefined);
    }
  };
  const issuer = new URL(oidc.issuer).host;
  return (
    <>
      {waiting === undefined ? (
        <Button appearance="primary" onClick={() => void signIn()}>
          Sign in with {issuer}
        </Button>
      ) : (
        <>
          <Spinner size="tiny" label={`Waiting for the window of ${issuer}…`} />
          <Button onClick={() => waiting.abort()}>Cancel</Button>
        </>
      )}
      {error !== undefined && <Failed>{messageOf(error)}</Failed>}
    </>
  );
}

/**
 * No form: this stands in forms of dialogs, too, and a browser lets no event out of a form within a form, so that it would send
 * the token away as an address.
 */
function ByToken(): ReactNode {
  const session = useSession();
  const { tokenLabel, tokenHint } = waysOf(useSettings().authentication);
  const [pasted, setPasted] = useState("");
  const [error, setError] = useState<string>();
  const [asking, setAsking] = useState(false);
  const signIn = async (): Promise<void> => {
    if (asking) {
      return;
    }
    const token = pasted.trim().replace(/^Bearer\s+/i, "");
    // What was pasted doesn't stay in the page.
    setPasted("");
    if (!/^[\w.~+/-]+=*$/.test(token)) {
      setError("That is not a token. Paste all of it, and nothing else.");
      return;
    }
    setError(undefined);
    setAsking(true);
    try {
      await enter(session, { kind: "token", token });
    } catch (thrown) {
      setError(messageOf(thrown));
    } finally {
      setAsking(false);
    }
  };
  return (
    <>
      <Field
        label={tokenLabel}
        hint={tokenHint}
        {...(error !== undefined && { validationMessage: error })}
      >
        <Textarea
          rows={3}
          autoComplete="off"
          spellCheck={false}
          value={pasted}
          onChange={(_, { value }) => setPasted(value)}
          onKeyDown={(event) => {
            // A token has one line.
            if (event.key === "Enter") {
              event.preventDefault();
              void signIn();
            }
          }}
        />
      </Field>
      <div>
        <Button disabledFocusable={asking} onClick={() => void signIn()}>
          Sign in with the token
        </Button>
      </div>
    </>
  );
}

/** The page cannot see the browser's certificates: only a call tells whether one counts. */
function ByCertificate(): ReactNode {
  const session = useSession();
  const [error, setError] = useState<unknown>();
  const [asking, setAsking] = useState(false);
  const signIn = async (): Promise<void> => {
    setAsking(true);
    setError(undefined);
    try {
      await enter(session, { kind: "none" });
    } catch (thrown) {
      setError(thrown);
    } finally {
      setAsking(false);
    }
  };
  return (
    <>
      <Button disabledFocusable={asking} onClick={() => void signIn()}>
        Use this browser's certificate
      </Button>
      {error !== undefined && <Failed>{error instanceof UnauthenticatedError ? NO_CERTIFICATE : messageOf(error)}</Failed>}
    </>
  );
}

const NO_CERTIFICATE =
  "This browser showed no certificate that the service takes. Install one, close all windows of the browser so that it asks which " +
  "to show, and open this page again.";

function Failed({ children }: { children: string }): ReactNode {
  return (
    <MessageBar intent="error" layout="multiline" role="alert">
      <MessageBarBody>{children}</MessageBarBody>
    </MessageBar>
  );
}
