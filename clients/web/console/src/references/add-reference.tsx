/** "Add reference": "Create new" or "Add from Azure Key Vault". */
import { Menu, MenuButton, MenuItem, MenuList, MenuPopover, MenuTrigger } from "@fluentui/react-components";
import { AddRegular, KeyMultipleRegular, SearchRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import type { Source } from "./draft-reference";

interface AddReferenceMenuProps {
  readonly label: string;
  /** What it is for, for readers of screens. */
  readonly about?: string;
  readonly onAdd: (kind: Source["kind"]) => void;
}

export function AddReferenceMenu({ label, about, onAdd }: AddReferenceMenuProps): ReactNode {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <MenuButton icon={<AddRegular />} {...(about !== undefined && { "aria-label": `${label}: ${about}` })}>
          {label}
        </MenuButton>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuItem icon={<KeyMultipleRegular />} onClick={() => onAdd("new")}>
            Create new
          </MenuItem>
          <MenuItem icon={<SearchRegular />} onClick={() => onAdd("existing")}>
            Add from Azure Key Vault
          </MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
