import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { SearchText } from "./search-text";

afterEach(cleanup);

test("the field has what is typed before the address does, and what the address has where nobody typed it", () => {
  const onChange = vi.fn();
  const at = (text: string): ReactNode => (
    <FluentProvider theme={webLightTheme}>
      <SearchText className="" looksIn="name or key" text={text} onChange={onChange} />
    </FluentProvider>
  );
  const { rerender } = render(at(""));
  const field = screen.getByLabelText<HTMLInputElement>("Search by name or key");
  fireEvent.change(field, { target: { value: "z" } });
  fireEvent.change(field, { target: { value: "zz" } });
  expect(onChange.mock.calls).toEqual([["z"], ["zz"]]);
  // The address is one letter behind.
  rerender(at("z"));
  expect(field.value).toBe("zz");
  rerender(at("zz"));
  // The menu leads to the screen without a search.
  rerender(at(""));
  expect(field.value).toBe("");
  // What was taken back before the address had it is not taken for what comes later.
  fireEvent.change(field, { target: { value: "y" } });
  fireEvent.change(field, { target: { value: "" } });
  fireEvent.change(field, { target: { value: "y" } });
  rerender(at("y"));
  rerender(at(""));
  expect(field.value).toBe("");
});
