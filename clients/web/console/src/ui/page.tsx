/** The frame of a screen: its title, what can be done there, and how it looks while it loads, is empty or failed. */
import { makeStyles, mergeClasses, Spinner, Subtitle1, Subtitle2, Text, tokens, typographyStyles } from "@fluentui/react-components";
import { useEffect, useRef, type ReactNode } from "react";

const useStyles = makeStyles({
  page: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalL,
    padding: tokens.spacingHorizontalXXL,
    maxWidth: "1800px",
    minWidth: 0,
    boxSizing: "border-box",
    "@media (max-width: 640px)": { padding: tokens.spacingHorizontalM },
  },
  filling: { height: "100%" },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", justifyContent: "space-between", gap: tokens.spacingHorizontalM },
  title: { ...typographyStyles.title2, margin: 0, outlineStyle: "none", overflowWrap: "anywhere" },
  titles: { display: "flex", flexDirection: "column", minWidth: 0 },
  actions: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
  middle: {
    display: "flex",
    flexDirection: "column",
    alignItems: "center",
    gap: tokens.spacingVerticalM,
    padding: tokens.spacingHorizontalXXXL,
    textAlign: "center",
  },
  section: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalM, minWidth: 0 },
  heading: { margin: 0 },
  muted: { color: tokens.colorNeutralForeground3 },
});

interface PageProps {
  readonly title: string;
  /** Beside the title, a sentence or a badge. */
  readonly subtitle?: ReactNode;
  readonly actions?: ReactNode;
  /** Whether it takes all the height, for a table that scrolls by itself. */
  readonly filling?: boolean;
  readonly children: ReactNode;
}

/** A screen. Who comes to it by keyboard or reader begins at its title. */
export function Page({ title, subtitle, actions, filling = false, children }: PageProps): ReactNode {
  const styles = useStyles();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} - Secret Service`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div className={mergeClasses(styles.page, filling && styles.filling)}>
      <div className={styles.head}>
        <div className={styles.titles}>
          <h1 ref={heading} tabIndex={-1} className={styles.title}>
            {title}
          </h1>
          {subtitle !== undefined && <Text className={styles.muted}>{subtitle}</Text>}
        </div>
        {actions !== undefined && <div className={styles.actions}>{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** A part of a screen with a heading of its own. */
export function Section({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }): ReactNode {
  const styles = useStyles();
  return (
    <section className={styles.section} aria-label={title}>
      <div className={styles.head}>
        <Subtitle1 as="h2" className={styles.heading}>
          {title}
        </Subtitle1>
        {actions}
      </div>
      {children}
    </section>
  );
}

/** While there is nothing to show yet. */
export function Loading({ what }: { what: string }): ReactNode {
  return (
    <div className={useStyles().middle}>
      <Spinner label={`Loading ${what}…`} labelPosition="below" />
    </div>
  );
}

/** Where there is nothing to show, and what to do about it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }): ReactNode {
  const styles = useStyles();
  return (
    <div className={styles.middle} role="status">
      <Subtitle2 as="p">{title}</Subtitle2>
      {children !== undefined && <Text className={styles.muted}>{children}</Text>}
      {action}
    </div>
  );
}
