/** Things to look at, one under the other: what, since when, why. */
import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

/** How many stand on the overview; the rest is a link away. */
export const SHOWN = 6;

const useStyles = makeStyles({
  list: { display: "flex", flexDirection: "column", margin: 0, padding: 0, listStyleType: "none" },
  item: {
    display: "grid",
    gridTemplateColumns: "auto minmax(0, 1fr) auto",
    alignItems: "baseline",
    columnGap: tokens.spacingHorizontalM,
    rowGap: tokens.spacingVerticalXXS,
    paddingBlock: tokens.spacingVerticalS,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ":last-child": { borderBottomStyle: "none" },
    "@media (max-width: 480px)": { gridTemplateColumns: "auto minmax(0, 1fr)" },
  },
  what: { overflowWrap: "anywhere", minWidth: 0 },
  when: { color: tokens.colorNeutralForeground3, "@media (max-width: 480px)": { gridColumn: "2" } },
  why: { gridColumn: "2 / -1", color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
  none: { display: "flex", alignItems: "flex-start", gap: tokens.spacingHorizontalS, "& svg": { flexShrink: 0, marginTop: "2px" } },
  good: { color: tokens.colorStatusSuccessForeground1 },
});

export function List({ label, children }: { label: string; children: ReactNode }): ReactNode {
  return (
    <ul className={useStyles().list} aria-label={label}>
      {children}
    </ul>
  );
}

interface ItemProps {
  readonly badge: ReactNode;
  readonly what: ReactNode;
  readonly when?: ReactNode;
  readonly why?: ReactNode;
}

export function Item({ badge, what, when, why }: ItemProps): ReactNode {
  const styles = useStyles();
  return (
    <li className={styles.item}>
      <span>{badge}</span>
      <span className={styles.what}>{what}</span>
      {when !== undefined && <span className={styles.when}>{when}</span>}
      {why !== undefined && why !== "" && (
        <Text size={200} className={styles.why}>
          {why}
        </Text>
      )}
    </li>
  );
}

/** Where a look found nothing to do. */
export function Nothing({ children }: { children: ReactNode }): ReactNode {
  const styles = useStyles();
  return (
    <div className={styles.none}>
      <CheckmarkCircleRegular aria-hidden className={styles.good} fontSize={20} />
      <Text>{children}</Text>
    </div>
  );
}
