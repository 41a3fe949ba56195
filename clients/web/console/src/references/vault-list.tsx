/** The list of the vault's secrets to pick from: only what is in view is in the page; arrows move, space picks. */
import { idOf, type VaultSecret } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { CheckboxCheckedFilled, CheckboxUncheckedRegular, RadioButtonFilled, CircleRegular } from "@fluentui/react-icons";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import { Time } from "../ui/time";
import { count } from "../ui/words";
import { validityOf, wordsOfContentType, type Validity } from "./vault-pick";

const ROW_HEIGHT = 52;
const OVERSCAN = 4;
const PAGE_ROWS = 8;
const NARROW = "@container (max-width: 520px)";

const useStyles = makeStyles({
  list: {
    height: "min(22rem, 40dvh)",
    minHeight: "8rem",
    overflow: "auto",
    containerType: "inline-size",
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    ":focus-visible": {
      outline: `2px solid ${tokens.colorStrokeFocus2}`,
      "& [data-active=true]": { boxShadow: `inset 0 0 0 2px ${tokens.colorStrokeFocus2}` },
    },
  },
  rows: { position: "relative" },
  row: {
    position: "absolute",
    insetInline: 0,
    top: 0,
    boxSizing: "border-box",
    display: "grid",
    gridTemplateColumns: "1.25rem minmax(0, 3fr) minmax(0, 2fr) minmax(0, 2fr)",
    alignItems: "center",
    columnGap: tokens.spacingHorizontalM,
    paddingInline: tokens.spacingHorizontalM,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    cursor: "pointer",
    fontSize: tokens.fontSizeBase300,
    lineHeight: tokens.lineHeightBase300,
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
    [NARROW]: { gridTemplateColumns: "1.25rem minmax(0, 1fr) auto" },
  },
  picked: { backgroundColor: tokens.colorNeutralBackground1Selected },
  names: { display: "flex", flexDirection: "column", minWidth: 0 },
  one: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  muted: { color: tokens.colorNeutralForeground3, fontSize: tokens.fontSizeBase200, lineHeight: tokens.lineHeightBase200 },
  narrow: { display: "none", [NARROW]: { display: "inline" } },
  wide: { [NARROW]: { display: "none" } },
});

interface VaultListProps {
  readonly label: string;
  readonly secrets: readonly VaultSecret[];
  readonly picked: ReadonlySet<string>;
  readonly multiple: boolean;
  readonly onToggle: (secret: VaultSecret) => void;
  /** Asked for when the end comes into view. */
  readonly onEnd: (() => void) | undefined;
}

export function VaultList({ label, secrets, picked, multiple, onToggle, onEnd }: VaultListProps): ReactNode {
  const styles = useStyles();
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const virtualizer = useVirtualizer({
    count: secrets.length,
    getScrollElement: () => list.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
    getItemKey: (index) => secrets[index]?.name ?? index,
  });
  const rows = virtualizer.getVirtualItems();
  const last = rows.at(-1)?.index ?? -1;
  useEffect(() => {
    if (secrets.length > 0 && last >= secrets.length - 1) {
      onEnd?.();
    }
  }, [last, secrets.length, onEnd]);
  const current = Math.min(active, secrets.length - 1);
  const keyDown = (event: KeyboardEvent): void => {
    const to = moved(event.key, current, secrets.length);
    const secret = secrets[current];
    if (to !== undefined) {
      setActive(to);
      virtualizer.scrollToIndex(to);
    } else if ((event.key === " " || event.key === "Enter") && secret !== undefined) {
      onToggle(secret);
    } else {
      return;
    }
    event.preventDefault();
  };
  return (
    <div
      ref={list}
      className={styles.list}
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-multiselectable={multiple}
      aria-activedescendant={rows.some(({ index }) => index === current) ? `${id}-${current}` : undefined}
      onKeyDown={keyDown}
    >
      <div className={styles.rows} role="presentation" style={{ height: virtualizer.getTotalSize() }}>
        {rows.map(({ index, start }) => {
          const secret = secrets[index];
          return secret === undefined ? null : (
            <div
              key={secret.name}
              id={`${id}-${index}`}
              role="option"
              aria-selected={picked.has(secret.name)}
              aria-posinset={index + 1}
              aria-setsize={onEnd === undefined ? secrets.length : -1}
              className={mergeClasses(styles.row, picked.has(secret.name) && styles.picked)}
              data-active={index === current}
              style={{ height: ROW_HEIGHT, transform: `translateY(${start}px)` }}
              onClick={() => {
                setActive(index);
                onToggle(secret);
              }}
            >
              <Row secret={secret} picked={picked.has(secret.name)} multiple={multiple} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** To which row a key moves. */
export function moved(key: string, from: number, rows: number): number | undefined {
  const to: Readonly<Record<string, number>> = {
    ArrowDown: from + 1,
    ArrowUp: from - 1,
    PageDown: from + PAGE_ROWS,
    PageUp: from - PAGE_ROWS,
    Home: 0,
    End: rows - 1,
  };
  const index = to[key];
  return index === undefined || rows === 0 ? undefined : Math.max(0, Math.min(rows - 1, index));
}

interface RowProps {
  readonly secret: VaultSecret;
  readonly picked: boolean;
  readonly multiple: boolean;
}

/** Of plain elements, and drawn again only where it changes: many go by as somebody scrolls. */
const Row = memo(function Row({ secret, picked, multiple }: RowProps): ReactNode {
  const styles = useStyles();
  const { name, contentType, managed, syncedSecrets } = secret;
  const [first] = syncedSecrets;
  const type = wordsOfContentType(contentType, managed);
  const muted = mergeClasses(styles.one, styles.muted);
  const syncedBy = wordsOfSyncedBy(first, syncedSecrets.length);
  return (
    <>
      <Mark picked={picked} multiple={multiple} />
      <span className={styles.names}>
        <span className={styles.one} title={idOf(name)}>
          {idOf(name)}
        </span>
        <span className={muted}>
          {type}
          <span className={styles.narrow}>{type === "" ? syncedBy : ` · ${syncedBy}`}</span>
        </span>
      </span>
      <span>
        <Expiry secret={secret} />
      </span>
      <span className={mergeClasses(muted, styles.wide)}>{syncedBy}</span>
    </>
  );
});

function wordsOfSyncedBy(first: string | undefined, all: number): string {
  if (first === undefined) {
    return "Not synced yet";
  }
  return all === 1 ? `Synced by ${idOf(first)}` : `Synced by ${idOf(first)} and ${count(all - 1, "other")}`;
}

function Mark({ picked, multiple }: { picked: boolean; multiple: boolean }): ReactNode {
  if (multiple) {
    return picked ? <CheckboxCheckedFilled aria-hidden /> : <CheckboxUncheckedRegular aria-hidden />;
  }
  return picked ? <RadioButtonFilled aria-hidden /> : <CircleRegular aria-hidden />;
}

const BADGES: Readonly<Partial<Record<Validity, readonly [string, "danger" | "warning" | "subtle"]>>> = {
  disabled: ["Disabled", "danger"],
  expired: ["Expired", "danger"],
  "not-yet": ["Not valid yet", "warning"],
  soon: ["Expires soon", "warning"],
};

function Expiry({ secret }: { secret: VaultSecret }): ReactNode {
  const styles = useStyles();
  const badge = BADGES[validityOf(secret)];
  return (
    <>
      {badge !== undefined && (
        <Badge appearance="tint" color={badge[1]}>
          {badge[0]}
        </Badge>
      )}{" "}
      {secret.expireTime !== undefined && (
        <span className={mergeClasses(styles.muted, styles.wide)}>
          Expires <Time value={secret.expireTime} distance />
        </span>
      )}
    </>
  );
}
