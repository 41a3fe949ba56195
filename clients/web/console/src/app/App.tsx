/** The page: asks the service what it is, lets somebody sign in, and shows the screens. */
import { Button, FluentProvider, makeStyles, Spinner, tokens } from "@fluentui/react-components";
import { RouterProvider } from "@tanstack/react-router";
import { useCallback, useEffect, useState, type ReactNode } from "react";

import { returnFromIssuer, REDIRECT_PATH, wordsOfReturn } from "../session/redirect";
import { fetchSettings } from "../session/settings";
import { startSession } from "../session/start";
import { Problem } from "../ui/problem";
import "./app.css";
import { PreferencesProvider, usePreferences } from "./preferences";
import { PersonsPage } from "./persons-page";
import { newRouter } from "./router";
import { SignIn } from "./sign-in";
import { SignedInContext, useSessionState, type SignedIn } from "./signed-in";
import { useColorScheme, useTheme } from "./theme";

const useStyles = makeStyles({
  page: { height: "100dvh", backgroundColor: tokens.colorNeutralBackground2 },
  middle: { display: "grid", placeItems: "center", height: "100dvh", padding: tokens.spacingHorizontalL, boxSizing: "border-box" },
});

/** All of it. */
export function App(): ReactNode {
  return (
    <PreferencesProvider>
      <Themed>{window.location.pathname === REDIRECT_PATH ? <Returned /> : <Started />}</Themed>
    </PreferencesProvider>
  );
}

function Themed({ children }: { children: ReactNode }): ReactNode {
  const { theme: choice } = usePreferences();
  const theme = useTheme(choice);
  useColorScheme(theme);
  return (
    // The provider's own classes are those of every tooltip and dialog, too: with a height, those would cover the page.
    <FluentProvider theme={theme}>
      <div className={useStyles().page}>{children}</div>
    </FluentProvider>
  );
}

/** In the window that comes back from the issuer. */
function Returned(): ReactNode {
  // Said before the answer is taken out of the address. Whether the service takes the sign-in, the page will tell.
  const [words] = useState(() => wordsOfReturn(window.location.search));
  useEffect(returnFromIssuer, []);
  return <div className={useStyles().middle}>{words}</div>;
}

async function begun(signal: AbortSignal): Promise<SignedIn> {
  const settings = await fetchSettings(signal);
  return { settings, session: await startSession(settings) };
}

/** Once the service has said what it is. */
function Started(): ReactNode {
  const styles = useStyles();
  const [signedIn, setSignedIn] = useState<SignedIn>();
  const [error, setError] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    const unlessLeft = <T,>(take: (told: T) => void) => (told: T) => {
      if (!leaving.signal.aborted) {
        take(told);
      }
    };
    begun(leaving.signal).then(unlessLeft(setSignedIn), unlessLeft<unknown>(setError));
    return () => leaving.abort();
  }, [attempt]);
  const again = useCallback(() => {
    setError(undefined);
    setAttempt((before) => before + 1);
  }, []);
  if (signedIn !== undefined) {
    return (
      <SignedInContext value={signedIn}>
        <Screens />
      </SignedInContext>
    );
  }
  return (
    <main className={styles.middle}>
      {error === undefined ? (
        <Spinner label="Asking the service…" labelPosition="below" />
      ) : (
        <div>
          <Problem error={error} title="The service can't be reached." />
          <Button onClick={again}>Try again</Button>
        </div>
      )}
    </main>
  );
}

function Screens(): ReactNode {
  const { status } = useSessionState();
  return status === "signed-out" ? (
    <SignIn />
  ) : (
    <PersonsPage>
      <Routed />
    </PersonsPage>
  );
}

function Routed(): ReactNode {
  const [router] = useState(newRouter);
  return <RouterProvider router={router} />;
}
