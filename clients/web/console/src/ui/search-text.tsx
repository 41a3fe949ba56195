/** The field of a search whose text stands in the address. */
import { SearchBox, type SearchBoxProps } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

interface SearchTextProps {
  /** What the address has. */
  readonly text: string;
  readonly onChange: (text: string) => void;
  /** `name or key`: it names the field, too. */
  readonly looksIn: string;
  readonly className: string;
}

/** It has what is typed at once, also where the address follows a moment later; and what the address has, where that changed by itself. */
export function SearchText({ text, onChange, looksIn, className }: SearchTextProps): ReactNode {
  const [typed, setTyped] = useState(text);
  const [seen, setSeen] = useState(text);
  const [sent, setSent] = useState<readonly string[]>([]);
  if (seen !== text) {
    setSeen(text);
    const known = sent.indexOf(text);
    // Once it has caught up, nothing is on its way: a letter that was taken back at once never comes.
    setSent(text === typed ? [] : sent.slice(known + 1));
    // Nobody typed it: the filters were cleared, or another link was followed.
    if (known < 0) {
      setTyped(text);
    }
  }
  const type: SearchBoxProps["onChange"] = (_, { value }) => {
    setTyped(value);
    setSent((before) => [...before, value]);
    onChange(value);
  };
  return (
    <SearchBox
      className={className}
      aria-label={`Search by ${looksIn}`}
      placeholder={looksIn.charAt(0).toUpperCase() + looksIn.slice(1)}
      value={typed}
      onChange={type}
    />
  );
}
