import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { act, cleanup, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { PreferencesProvider } from "../app/preferences";
import { absolute, distanceOf, Time } from "./time";

const NOW = new Date("2026-11-27T20:46:30Z");

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllEnvs();
  localStorage.clear();
});

function around(children: ReactNode): ReactNode {
  return (
    <FluentProvider theme={webLightTheme}>
      <PreferencesProvider>{children}</PreferencesProvider>
    </FluentProvider>
  );
}

test.each([
  [0, "just now"],
  [-9, "just now"],
  [-10, "10 seconds ago"],
  [-59, "59 seconds ago"],
  [-60, "1 minute ago"],
  [-3_599, "59 minutes ago"],
  [3_600, "in 60 minutes"],
  [7_200, "in 2 hours"],
  // Nothing is nearer than it is either: 47 hours are not tomorrow, nor 59 days next month, nor 723 days next year.
  [47 * 3_600, "in 47 hours"],
  [-2 * 86_400, "2 days ago"],
  [59 * 86_400, "in 59 days"],
  [723 * 86_400, "in 24 months"],
  // Nothing is farther off than it is: 29 days are no month.
  [-29 * 86_400, "29 days ago"],
  [60 * 86_400, "in 2 months"],
  [-800 * 86_400, "2 years ago"],
])("%d seconds from now are %s", (seconds, words) => {
  expect(distanceOf(new Date(NOW.getTime() + seconds * 1_000), NOW)).toBe(words);
});

test("a time is written in the zone that was chosen, and UTC says so", () => {
  vi.stubEnv("TZ", "Asia/Kolkata");
  expect(absolute(NOW, "local")).toBe("2026-11-28 02:16");
  expect(absolute(NOW, "utc")).toBe("2026-11-27 20:46 UTC");
});

test("the hour that a change of the clock skips or repeats is that of the zone", () => {
  vi.stubEnv("TZ", "Europe/Berlin");
  expect(absolute(new Date("2026-03-29T01:30:00Z"), "local")).toBe("2026-03-29 03:30");
  expect(absolute(new Date("2026-10-25T00:30:00Z"), "local")).toBe("2026-10-25 02:30");
  expect(absolute(new Date("2026-10-25T01:30:00Z"), "local")).toBe("2026-10-25 02:30");
});

test("the page shows the zone that is preferred, and nothing where there is no time", () => {
  localStorage.setItem("secret-service.preferences", JSON.stringify({ timeZone: "utc" }));
  render(around(<Time value={timestampFromDate(NOW)} />));
  const shown = screen.getByText("2026-11-27 20:46 UTC");
  expect(shown.getAttribute("datetime")).toBe(NOW.toISOString());
  const { container } = render(<Time value={undefined} />);
  expect(container.textContent).toBe("");
});

test("a distance that is looked at for long stays true", async () => {
  vi.useFakeTimers({ now: NOW });
  render(around(<Time value={NOW} distance />));
  expect(screen.getByText("just now")).toBeDefined();
  await act(() => vi.advanceTimersByTimeAsync(120_000));
  expect(screen.getByText("2 minutes ago")).toBeDefined();
});
