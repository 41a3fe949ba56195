/** The frame of every dialog: how it looks, and when it closes. Nothing else of the page builds one. */
import {
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  Dialog as FluentDialog,
  makeStyles,
  mergeClasses,
  tokens,
  type ButtonProps,
  type DialogProps as FluentDialogProps,
} from "@fluentui/react-components";
import { createContext, useContext, useEffect, useLayoutEffect, useRef, type MouseEvent, type ReactNode } from "react";

import { SignInAgain } from "../app/sign-in";
import { ActionButton } from "./action";

const useStyles = makeStyles({
  content: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM },
  actions: { flexWrap: "wrap", justifyContent: "flex-end" },
});

/** How wide a dialog may become, where Fluent's 600 pixels are too few. */
const useWidths = makeStyles({
  "46rem": { maxWidth: "46rem" },
  "48rem": { maxWidth: "48rem" },
  "52rem": { maxWidth: "52rem" },
  "56rem": { maxWidth: "56rem" },
});

/** What closes the dialog around. */
const Closing = createContext<{ readonly close: () => void; readonly busy: boolean }>({ close: () => undefined, busy: false });

export interface DialogShellProps {
  readonly open?: boolean;
  /** Told when somebody closes it: with Escape, with its `CloseButton`, or by a click beside it. */
  readonly onClose: () => void;
  /** Whether a click beside it leaves it open, because that must not throw away what was entered or is under way. */
  readonly stays?: boolean;
  /** Whether a change is being made: nothing closes it until that has ended, so that whoever asked for it learns how. */
  readonly busy?: boolean;
  readonly width?: keyof ReturnType<typeof useWidths>;
  readonly children: ReactNode;
}

/** The frame alone, for what keeps its state inside, only as long as the dialog is open: it renders a `DialogInside`. */
export function DialogShell({ open = true, onClose, stays = false, busy = false, width, children }: DialogShellProps): ReactNode {
  const widths = useWidths();
  const change: FluentDialogProps["onOpenChange"] = (_, { open: isOpen }) => {
    if (!isOpen && !busy) {
      onClose();
    }
  };
  // Fluent's own closed dialog makes the whole page ready for one, with hidden elements that take the focus.
  if (!open) {
    return null;
  }
  return (
    <FluentDialog open modalType={stays ? "alert" : "modal"} onOpenChange={change}>
      <DialogSurface {...(width !== undefined && { className: widths[width] })} backdrop={{ onMouseDown: keepFocus }}>
        <Focus busy={busy} />
        {/* Nothing behind the dialog can be reached: not the shell's own way to sign in either. */}
        <SignInAgain />
        <Closing value={{ close: onClose, busy }}>{children}</Closing>
      </DialogSurface>
    </FluentDialog>
  );
}

/** A click beside the dialog leaves the focus in it. */
function keepFocus(event: MouseEvent): void {
  event.preventDefault();
}

/** Keeps the focus in the dialog, where the Escape key is heard, and puts it back to what opened the dialog. */
function Focus({ busy }: { busy: boolean }): ReactNode {
  const marker = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const opener = openerOf(document.activeElement);
    return () => {
      setTimeout(() => isFocusLost() && opener?.focus());
    };
  }, []);
  useEffect(() => {
    // A button that turns grey is another element, and takes the focus with it.
    if (isFocusLost()) {
      marker.current?.closest<HTMLElement>("[role$=dialog]")?.focus();
    }
  }, [busy]);
  return <span ref={marker} hidden />;
}

function isFocusLost(): boolean {
  return document.activeElement === document.body;
}

/** What is there when the dialog is closed: not an item of a menu, but the button of the menu. */
function openerOf(focused: Element | null): HTMLElement | null {
  const menu = focused?.closest("[role=menu]");
  const opener = menu ? document.getElementById(menu.getAttribute("aria-labelledby") ?? "") : focused;
  return opener instanceof HTMLElement ? opener : null;
}

export interface DialogInsideProps {
  readonly title: ReactNode;
  /** What stands in it, one below the other. */
  readonly children: ReactNode;
  /** The buttons in its foot, `CloseButton` among them. */
  readonly actions: ReactNode;
  /** What its submit button and the Enter key do. */
  readonly onSubmit?: (() => void) | undefined;
  /** For the content, beside that it is a column. */
  readonly className?: string | undefined;
}

/** Title, content and buttons. */
export function DialogInside({ title, children, actions, onSubmit, className }: DialogInsideProps): ReactNode {
  const styles = useStyles();
  const body = (
    <DialogBody>
      <DialogTitle>{title}</DialogTitle>
      <DialogContent className={mergeClasses(styles.content, className)}>{children}</DialogContent>
      <DialogActions fluid className={styles.actions}>
        {actions}
      </DialogActions>
    </DialogBody>
  );
  if (onSubmit === undefined) {
    return body;
  }
  return (
    <form
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        // In the page's tree, a form around the dialog would hear it, too.
        event.stopPropagation();
        onSubmit();
      }}
    >
      {body}
    </form>
  );
}

/** A dialog. */
export function Dialog({ title, actions, onSubmit, className, children, ...shell }: DialogShellProps & DialogInsideProps): ReactNode {
  return (
    <DialogShell {...shell}>
      <DialogInside {...{ title, actions, onSubmit, className }}>{children}</DialogInside>
    </DialogShell>
  );
}

/** "Cancel" or "Close": does what Escape does, and is greyed while that does nothing. */
export function CloseButton(props: Pick<ButtonProps, "children" | "appearance">): ReactNode {
  const { close, busy } = useContext(Closing);
  return <ActionButton {...props} unless={busy ? "It is being done: wait until it has ended." : undefined} onClick={close} />;
}
