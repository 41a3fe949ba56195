import { renderHook } from "@testing-library/react";
import { expect, test } from "vitest";

import type { ThemeChoice } from "./preferences";
import { useColorScheme, useTheme } from "./theme";

test("what the browser draws itself goes with the theme that was chosen, whatever the system has", () => {
  const { rerender } = renderHook(({ choice }) => useColorScheme(useTheme(choice)), { initialProps: { choice: "dark" as ThemeChoice } });
  const scheme = (): string => document.documentElement.style.colorScheme;
  expect(scheme()).toBe("dark");
  rerender({ choice: "light" });
  expect(scheme()).toBe("light");
  rerender({ choice: "high-contrast" });
  expect(scheme()).toBe("dark");
});
