/** What uses the synced secrets: by resource, those that can't work first. */
import { Button, makeStyles, ToggleButton, tokens } from "@fluentui/react-components";
import { DocumentSearchRegular } from "@fluentui/react-icons";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useMemo, useRef, useState, type ReactNode } from "react";

import { useUnreadKinds, useUsages } from "../../api/hooks";
import type { UsesSearch } from "../../app/search";
import { Empty, Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { SearchText } from "../../ui/search-text";
import { Time } from "../../ui/time";
import { UnreadKinds } from "../../ui/unread";
import { count, grouped } from "../../ui/words";
import { CheckDialog } from "./check-dialog";
import { ResourceCard } from "./resource-card";
import { matching, resourcesOf, type Resource } from "./resources";

const GUESSED_HEIGHT = 160;

const useStyles = makeStyles({
  filters: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  search: { flexGrow: 1, flexBasis: "16rem", maxWidth: "32rem" },
  scroller: { overflow: "auto", flexGrow: 1, flexBasis: "20rem", minHeight: "16rem" },
  list: { position: "relative", margin: 0, padding: 0, listStyleType: "none" },
  item: { position: "absolute", insetInline: 0, top: 0, paddingBottom: tokens.spacingVerticalM },
});

export function Uses(): ReactNode {
  const usages = useUsages();
  const unread = useUnreadKinds();
  const [checking, setChecking] = useState(false);
  const { data, dataUpdatedAt, error } = usages;
  const resources = useMemo(() => data && resourcesOf(data), [data]);
  const again = (): void => void usages.refetch();
  return (
    <Page
      title="Uses"
      subtitle={resources && <Summary resources={resources} looked={dataUpdatedAt} />}
      actions={
        <Button icon={<DocumentSearchRegular />} onClick={() => setChecking(true)}>
          Check a manifest
        </Button>
      }
      filling
    >
      {error !== null && <Problem error={error} title="What uses the synced secrets can't be read." onRetry={again} />}
      <UnreadKinds />
      {resources === undefined && error === null && <Loading what="what uses the synced secrets" />}
      {resources?.length === 0 && (
        <Empty title={unread.length === 0 ? "Nothing uses a synced secret." : "Nothing that the service can read uses a synced secret."}>
          A resource such as a Device, an AssetEndpointProfile or a DataflowEndpoint that names one in a field is shown here, also where there is no
          such synced secret.
        </Empty>
      )}
      {resources !== undefined && resources.length > 0 && <Found resources={resources} />}
      {checking && <CheckDialog onClose={() => setChecking(false)} />}
    </Page>
  );
}

function Summary({ resources, looked }: { resources: readonly Resource[]; looked: number }): ReactNode {
  const broken = resources.filter((resource) => resource.broken > 0).length;
  return (
    <span role="status">
      {count(resources.length, "resource")}, {broken === 0 ? "none" : grouped(broken)} of them known to name what is not there. Looked
      at <Time value={new Date(looked)} />.
    </span>
  );
}

function Found({ resources }: { resources: readonly Resource[] }): ReactNode {
  const styles = useStyles();
  const search = useSearch({ from: "/uses" });
  const navigate = useNavigate({ from: "/uses" });
  const change = (after: UsesSearch): void => void navigate({ search: after, replace: true });
  const wanted = useDeferredValue(search);
  const shown = useMemo(() => matching(resources, wanted), [resources, wanted]);
  const { search: text } = search;
  return (
    <>
      <search className={styles.filters}>
        <SearchText
          className={styles.search}
          looksIn="resource, field, synced secret or key"
          text={text ?? ""}
          onChange={(value) => change({ ...(search.broken === true && { broken: true }), ...(value !== "" && { search: value }) })}
        />
        <ToggleButton
          size="small"
          shape="circular"
          checked={search.broken === true}
          onClick={() => change({ ...(search.broken !== true && { broken: true }), ...(text !== undefined && { search: text }) })}
        >
          Only broken
        </ToggleButton>
      </search>
      {shown.length === 0 ? (
        <Empty title="No resource matches the filters." action={<Button onClick={() => change({})}>Clear filters</Button>} />
      ) : (
        <List resources={shown} />
      )}
    </>
  );
}

/** Only those in view are in the page. */
function List({ resources }: { resources: readonly Resource[] }): ReactNode {
  const styles = useStyles();
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: resources.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => GUESSED_HEIGHT,
    getItemKey: (index) => resources[index]?.id ?? index,
    overscan: 4,
  });
  return (
    <div ref={scroller} className={styles.scroller} tabIndex={0} role="region" aria-label="Resources">
      <ul className={styles.list} style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const resource = resources[index];
          return (
            resource && (
              <li
                key={key}
                ref={virtualizer.measureElement}
                data-index={index}
                className={styles.item}
                style={{ transform: `translateY(${start}px)` }}
                aria-setsize={resources.length}
                aria-posinset={index + 1}
              >
                <ResourceCard resource={resource} />
              </li>
            )
          );
        })}
      </ul>
    </div>
  );
}
