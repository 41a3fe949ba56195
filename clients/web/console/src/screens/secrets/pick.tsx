/** One of many: found by typing a part of it. */
import { Combobox, makeStyles, Option } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";
import { grouped } from "../../ui/words";

/** More than anybody scrolls through; typing finds the others. */
const SHOWN = 50;

const useStyles = makeStyles({ pick: { minWidth: "8rem", flexGrow: 1, flexBasis: "9rem", maxWidth: "16rem", "@media (max-width: 640px)": { maxWidth: "none" } } });

interface PickProps {
  readonly label: string;
  readonly value: string | undefined;
  readonly choices: readonly string[];
  /** Choices that are called otherwise than they stand in the address; they come first. */
  readonly named?: readonly (readonly [value: string, label: string])[];
  readonly onChange: (value: string | undefined) => void;
}

export function Pick({ label, value, choices, named = [], onChange }: PickProps): ReactNode {
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const shownValue = named.find(([known]) => known === value)?.[1] ?? value ?? "";
  const found = typed === undefined || typed === "" ? choices : choices.filter((one) => one.toLowerCase().includes(typed.toLowerCase()));
  const rest = found.length - SHOWN;
  return (
    <Combobox
      className={useStyles().pick}
      aria-label={label}
      placeholder={label}
      clearable
      value={typed ?? shownValue}
      selectedOptions={value === undefined ? [] : [value]}
      onChange={({ target }) => setTyped(target.value)}
      onOpenChange={(_, { open }) => !open && setTyped(undefined)}
      onOptionSelect={(_, { optionValue }) => {
        setTyped(undefined);
        onChange(optionValue);
      }}
    >
      {named.map(([known, text]) => (
        <Option key={known} value={known} text={text}>
          {text}
        </Option>
      ))}
      {found.slice(0, SHOWN).map((one) => (
        <Option key={one} value={one}>
          {one}
        </Option>
      ))}
      {rest > 0 && (
        <Option key="more" value="" text="" disabled>
          {`${grouped(rest)} more: type a part of the name`}
        </Option>
      )}
    </Combobox>
  );
}
