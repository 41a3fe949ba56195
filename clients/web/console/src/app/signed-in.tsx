/** The session, for all that is below. */
import { createContext, use, useSyncExternalStore } from "react";

import { Session, type SessionState } from "../session/session";
import type { Settings } from "../session/settings";

export interface SignedIn {
  readonly session: Session;
  readonly settings: Settings;
}

export const SignedInContext = createContext<SignedIn | undefined>(undefined);

export function useSession(): Session {
  return useSignedIn().session;
}

export function useSettings(): Settings {
  return useSignedIn().settings;
}

export function useSessionState(): SessionState {
  const session = useSession();
  return useSyncExternalStore(session.subscribe, session.state);
}

function useSignedIn(): SignedIn {
  const signedIn = use(SignedInContext);
  if (signedIn === undefined) {
    throw new Error("no session is around this part of the page");
  }
  return signedIn;
}
