/** Tables that hold ten thousand rows: only those in view are in the page. */
import { Checkbox, makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ArrowSortDownRegular, ArrowSortUpRegular } from "@fluentui/react-icons";
import {
  createSortedRowModel,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type Row,
  type RowData,
  type RowSelectionState,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useLayoutEffect, useMemo, useRef, useState, type CSSProperties, type ReactNode, type RefObject } from "react";

const ROW_HEIGHT = 44;
const OVERSCAN = 6;
const features = tableFeatures({ rowSortingFeature, rowSelectionFeature, sortedRowModel: createSortedRowModel() });

/** What can be compared. */
export type Sortable = string | number | bigint | undefined;

/** A column. */
export interface Column<Item> {
  readonly id: string;
  readonly title: string;
  readonly cell: (item: Item) => ReactNode;
  /** By what it can be sorted, if it can. */
  readonly sortBy?: (item: Item) => Sortable;
  /** A track of the grid, such as `minmax(12rem, 2fr)`. */
  readonly width: string;
  /** The width of the table in pixels from which on it is shown; always where left out. */
  readonly from?: number;
}

/** By which column, and in which direction; as URLs have it: `name` or `-name`. */
export type Sort = string;

export interface DataTableProps<Item extends RowData> {
  /** What it is a table of, for readers of screens. */
  readonly label: string;
  readonly rows: readonly Item[];
  readonly columns: readonly Column<Item>[];
  readonly idOf: (item: Item) => string;
  readonly sort?: Sort;
  readonly onSort?: (sort: Sort) => void;
  /** The ids of the selected rows; no row can be selected where left out. */
  readonly selected?: ReadonlySet<string>;
  readonly onSelect?: (selected: ReadonlySet<string>) => void;
  /** What to call a row in the label of its checkbox. */
  readonly nameOf?: (item: Item) => string;
  /** Called when the last row comes into view: there may be more to load. */
  readonly onEnd?: () => void;
  /** Shown where there are no rows. */
  readonly empty?: ReactNode;
}

const useStyles = makeStyles({
  scroller: {
    overflow: "auto",
    flexGrow: 1,
    flexBasis: "20rem",
    minHeight: "12rem",
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  head: {
    position: "sticky",
    top: 0,
    zIndex: 1,
    backgroundColor: tokens.colorNeutralBackground2,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    fontWeight: tokens.fontWeightSemibold,
  },
  row: { display: "grid", alignItems: "center", columnGap: tokens.spacingHorizontalM, paddingInline: tokens.spacingHorizontalM },
  bodyRow: {
    position: "absolute",
    insetInline: 0,
    top: 0,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
  },
  // Of the grey ones, links on it would be too faint in dark.
  selected: { backgroundColor: tokens.colorBrandBackground2 },
  body: { position: "relative" },
  cell: { minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  sorter: {
    display: "inline-flex",
    alignItems: "center",
    gap: tokens.spacingHorizontalXS,
    font: "inherit",
    color: "inherit",
    background: "none",
    border: "none",
    padding: `${tokens.spacingVerticalS} 0`,
    cursor: "pointer",
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
});

/** A table that takes the height it is given and scrolls by itself. */
export function DataTable<Item extends RowData>(props: DataTableProps<Item>): ReactNode {
  const { label, rows, columns, idOf, selected, onSelect, sort, onSort, nameOf = idOf, onEnd, empty } = props;
  const styles = useStyles();
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const shown = useMemo(() => columns.filter(({ from = 0 }) => width === 0 || width >= from), [columns, width]);
  const table = useTable({
    features,
    data: rows,
    columns: useMemo(() => shown.map((column) => definitionOf(column)), [shown]),
    getRowId: idOf,
    enableRowSelection: selected !== undefined,
    state: { sorting: sortingOf(sort), rowSelection: useMemo(() => selectionOf(selected), [selected]) },
    onRowSelectionChange: (change) => {
      const before = selectionOf(selected);
      const after = typeof change === "function" ? change(before) : change;
      onSelect?.(new Set(Object.keys(after).filter((id) => after[id])));
    },
  });
  const sorted = table.getRowModel().rows;
  const selectable = selected !== undefined;
  const style = useMemo(
    () => ({ gridTemplateColumns: [...(selectable ? ["2rem"] : []), ...shown.map((column) => column.width)].join(" ") }),
    [selectable, shown],
  );
  const sortOn = (id: string): void => onSort?.(sort === id ? `-${id}` : id);
  return (
    <div ref={scroller} className={styles.scroller}>
      <div role="table" aria-label={label} aria-rowcount={sorted.length + 1} aria-colcount={shown.length}>
        <div role="rowgroup" className={styles.head}>
          <div role="row" aria-rowindex={1} className={styles.row} style={style}>
            {selected && (
              <div role="columnheader" aria-label="Selection">
                <Checkbox
                  aria-label="Select all"
                  checked={table.getIsAllRowsSelected() ? true : table.getIsSomeRowsSelected() ? "mixed" : false}
                  onChange={() => table.toggleAllRowsSelected()}
                />
              </div>
            )}
            {shown.map((column) => (
              <Header key={column.id} column={column} sort={sort} {...(onSort && { onSort: sortOn })} />
            ))}
          </div>
        </div>
        <Body {...{ rows: sorted, columns: shown, style, scroller, nameOf, selectable, onEnd }} />
      </div>
      {sorted.length === 0 && empty}
    </div>
  );
}

function Header<Item>({ column, sort, onSort }: { column: Column<Item>; sort?: Sort | undefined; onSort?: (id: string) => void }): ReactNode {
  const styles = useStyles();
  const direction = sort === column.id ? "ascending" : sort === `-${column.id}` ? "descending" : undefined;
  if (column.sortBy === undefined || onSort === undefined) {
    return (
      <div role="columnheader" className={styles.cell}>
        {column.title}
      </div>
    );
  }
  return (
    <div role="columnheader" className={styles.cell} aria-sort={direction ?? "none"}>
      <button type="button" className={styles.sorter} onClick={() => onSort(column.id)}>
        {column.title}
        {direction === "ascending" && <ArrowSortUpRegular aria-hidden />}
        {direction === "descending" && <ArrowSortDownRegular aria-hidden />}
      </button>
    </div>
  );
}

interface BodyProps<Item extends RowData> {
  readonly rows: readonly Row<typeof features, Item>[];
  readonly columns: readonly Column<Item>[];
  readonly style: CSSProperties;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly selectable: boolean;
  readonly nameOf: (item: Item) => string;
  readonly onEnd: (() => void) | undefined;
}

/** The rows that are in view. */
function Body<Item extends RowData>({ rows, columns, style, scroller, selectable, nameOf, onEnd }: BodyProps<Item>): ReactNode {
  const styles = useStyles();
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
    // Rows are made in a task of their own: within the scroll event, the browser's layout and painting would be part of it.
    useFlushSync: false,
    // Where this is another function, all rows are measured again: at each step of scrolling.
    getItemKey: useCallback((index: number) => rows[index]?.id ?? index, [rows]),
  });
  const items = virtualizer.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useLayoutEffect(() => {
    if (rows.length > 0 && last >= rows.length - 1) {
      onEnd?.();
    }
  }, [last, rows.length, onEnd]);
  return (
    <div role="rowgroup" className={styles.body} style={{ height: virtualizer.getTotalSize() }}>
      {items.map(({ index, start }) => {
        const row = rows[index];
        return (
          row && (
            <Line
              key={row.id}
              {...{ row, columns, style, index, start, nameOf, selectable }}
              isSelected={selectable && row.getIsSelected()}
            />
          )
        );
      })}
    </div>
  );
}

interface LineProps<Item extends RowData> extends Pick<BodyProps<Item>, "columns" | "style" | "selectable" | "nameOf"> {
  readonly row: Row<typeof features, Item>;
  readonly index: number;
  readonly start: number;
  readonly isSelected: boolean;
}

/** A row. Those that stay in view while somebody scrolls are not rendered again. */
const Line = memo(function Line<Item extends RowData>(props: LineProps<Item>): ReactNode {
  const { row, columns, style, index, start, nameOf, selectable, isSelected } = props;
  const styles = useStyles();
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      {...(selectable && { "aria-selected": isSelected })}
      className={mergeClasses(styles.row, styles.bodyRow, isSelected && styles.selected)}
      style={{ ...style, height: ROW_HEIGHT, transform: `translateY(${start}px)` }}
    >
      {selectable && (
        <div role="cell">
          <Checkbox aria-label={`Select ${nameOf(row.original)}`} checked={isSelected} onChange={() => row.toggleSelected()} />
        </div>
      )}
      {columns.map((column) => (
        <div key={column.id} role="cell" className={styles.cell}>
          {column.cell(row.original)}
        </div>
      ))}
    </div>
  );
}) as <Item extends RowData>(props: LineProps<Item>) => ReactNode;

function definitionOf<Item extends RowData>({ id, sortBy }: Column<Item>): ColumnDef<typeof features, Item> {
  return {
    id,
    accessorFn: (item) => sortBy?.(item),
    enableSorting: sortBy !== undefined,
    sortFn: (one, other) => compare(one.getValue<Sortable>(id), other.getValue<Sortable>(id)),
  };
}

/** What is not there comes last. */
function compare(one: Sortable, other: Sortable): number {
  if (one === other) {
    return 0;
  }
  if (one === undefined || other === undefined) {
    return one === undefined ? 1 : -1;
  }
  return one < other ? -1 : 1;
}

function sortingOf(sort: Sort | undefined): { id: string; desc: boolean }[] {
  return sort === undefined || sort === "" ? [] : [{ id: sort.replace(/^-/, ""), desc: sort.startsWith("-") }];
}

function selectionOf(selected: ReadonlySet<string> | undefined): RowSelectionState {
  return Object.fromEntries([...(selected ?? [])].map((id) => [id, true]));
}

/** The width of an element in pixels; 0 until it is known. */
function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (element.current === null) {
      return;
    }
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
