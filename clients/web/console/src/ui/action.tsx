/** Buttons for what the caller may or may not do. */
import { Button, Spinner, Tooltip, type ButtonProps } from "@fluentui/react-components";
import type { ReactElement, ReactNode } from "react";

import { usePermission } from "../api/hooks";

interface ActionButtonProps extends Omit<ButtonProps, "as" | "disabled" | "disabledFocusable"> {
  /** The method of the contract that it calls, such as `DeleteSyncedSecret`. */
  readonly method?: string;
  /** The resource that it is about: `syncedSecrets/edp1secrets`. */
  readonly resource?: string;
  /** Why it can't be pressed now, apart from the caller's rights. */
  readonly unless?: string | undefined;
  /** That it is being done, for as long as it is. */
  readonly pending?: string | false;
}

/**
 * A button that is greyed where the caller may not do it, or it can't be done now; and then says why. It stays reachable by
 * keyboard, so that everybody can learn the reason.
 */
export function ActionButton({ method, resource, unless, pending = false, onClick, ...rest }: ActionButtonProps): ReactNode {
  const { allowed, why } = usePermission(method, resource);
  const reason = allowed ? pending || unless : why;
  const props = pending === false ? rest : { ...rest, icon: <Spinner size="tiny" /> };
  if (reason === undefined || reason === "") {
    return <Button {...(props as ButtonProps)} onClick={onClick as ButtonProps["onClick"] & undefined} />;
  }
  const button = <Button {...(props as ButtonProps)} disabledFocusable />;
  return (
    <Tooltip content={reason} relationship="description">
      {button as ReactElement<ButtonProps>}
    </Tooltip>
  );
}
