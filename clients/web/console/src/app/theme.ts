/** The theme that was chosen, or that the system has. */
import { teamsHighContrastTheme, webDarkTheme, webLightTheme, type Theme } from "@fluentui/react-components";
import { useLayoutEffect, useSyncExternalStore } from "react";

import type { ThemeChoice } from "./preferences";

const DARK = "(prefers-color-scheme: dark)";
const HIGH_CONTRAST = "(forced-colors: active)";

/** Fluent's theme for a choice. */
export function useTheme(choice: ThemeChoice): Theme {
  const [dark, highContrast] = [useMedia(DARK), useMedia(HIGH_CONTRAST)];
  if (choice === "high-contrast" || (choice === "system" && highContrast)) {
    return teamsHighContrastTheme;
  }
  return choice === "dark" || (choice === "system" && dark) ? webDarkTheme : webLightTheme;
}

/** Has the browser draw what it draws itself, such as date fields and scroll bars, to go with the theme. */
export function useColorScheme(theme: Theme): void {
  const scheme = theme === webLightTheme ? "light" : "dark";
  useLayoutEffect(() => {
    document.documentElement.style.colorScheme = scheme;
  }, [scheme]);
}

function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => window.matchMedia(query).matches,
  );
}
