/** Links between screens, as Fluent draws them. */
import { Link as FluentLink, makeStyles, type ButtonProps } from "@fluentui/react-components";
import { createLink, type LinkComponent } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";
import { Button } from "@fluentui/react-components";

interface AnchorProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  readonly ref?: Ref<HTMLAnchorElement>;
}

function Anchor(props: AnchorProps) {
  return <FluentLink {...(props as object)} as="a" />;
}

const useStyles = makeStyles({ button: { textDecorationLine: "none" } });

interface AnchorButtonProps extends AnchorProps, Pick<ButtonProps, "appearance" | "icon" | "size"> {}

function AnchorButton(props: AnchorButtonProps) {
  return <Button {...(props as object)} as="a" className={useStyles().button} />;
}

/** A link to another screen. */
export const Link: LinkComponent<typeof Anchor> = createLink(Anchor);
/** The same, as a button. */
export const LinkButton: LinkComponent<typeof AnchorButton> = createLink(AnchorButton);
