/** What somebody prefers: kept in this browser, and nothing else is. */
import { createContext, use, useCallback, useMemo, useState, type ReactNode } from "react";

/** How the page looks. */
export const THEMES = ["system", "light", "dark", "high-contrast"] as const;
export type ThemeChoice = (typeof THEMES)[number];
/** In which zone times are written. */
export type TimeZone = "local" | "utc";

interface Preferences {
  readonly theme: ThemeChoice;
  readonly timeZone: TimeZone;
}

interface PreferencesAccess extends Preferences {
  readonly prefer: (change: Partial<Preferences>) => void;
}

const STORED_AS = "secret-service.preferences";
const DEFAULTS: Preferences = { theme: "system", timeZone: "local" };

const PreferencesContext = createContext<PreferencesAccess | undefined>(undefined);

export function PreferencesProvider({ children }: { children: ReactNode }): ReactNode {
  const [preferences, setPreferences] = useState(stored);
  const prefer = useCallback((change: Partial<Preferences>) => {
    setPreferences((before) => {
      const now = { ...before, ...change };
      try {
        localStorage.setItem(STORED_AS, JSON.stringify(now));
      } catch {
        // A browser that stores nothing has the preferences of this page alone.
      }
      return now;
    });
  }, []);
  const access = useMemo(() => ({ ...preferences, prefer }), [preferences, prefer]);
  return <PreferencesContext value={access}>{children}</PreferencesContext>;
}

export function usePreferences(): PreferencesAccess {
  return use(PreferencesContext) ?? { ...DEFAULTS, prefer: () => undefined };
}

function stored(): Preferences {
  try {
    const { theme, timeZone } = JSON.parse(localStorage.getItem(STORED_AS) ?? "{}") as Partial<Preferences>;
    return {
      theme: THEMES.find((known) => known === theme) ?? DEFAULTS.theme,
      timeZone: timeZone === "utc" ? "utc" : "local",
    };
  } catch {
    return DEFAULTS;
  }
}
