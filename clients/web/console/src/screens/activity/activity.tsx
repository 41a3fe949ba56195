/** Activity: the audit, newest first. */
import {
  Button,
  Link as FluentLink,
  makeStyles,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  MessageBar,
  MessageBarBody,
  Text,
} from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons";
import type { AuditEvent } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useState, type ReactNode } from "react";

import { auditRequest } from "../../api/audit";
import { CommandsButton } from "../../ui/commands";
import { wordsOfEvent } from "../../ui/events";
import { OutcomeBadge } from "../../ui/outcome";
import { Empty, Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { ResourceLink } from "../../ui/resource-link";
import { DataTable, type Column } from "../../ui/table";
import { Time } from "../../ui/time";
import { count, grouped } from "../../ui/words";
import { Details } from "./details";
import { useEvents } from "./events";
import type { ExportFormat } from "./export";
import { ExportDialog } from "./export-dialog";
import { Filters, type Change } from "./filters";
import { isNarrowed, wordsOf } from "./span";

const route = getRouteApi("/activity");
/** As many rows as no window shows at once: fewer, and older pages are looked at until there are. */
const ENOUGH = 60;

const useStyles = makeStyles({ newer: { alignSelf: "flex-start", flexShrink: 0 } });

export function Activity(): ReactNode {
  const styles = useStyles();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const list = useEvents(search);
  const { filter, pages, events, newer, beginAgain, hasOlder } = list;
  const [shown, setShown] = useState<AuditEvent>();
  const [exported, setExported] = useState<ExportFormat>();
  const { hasNextPage, isFetching, fetchNextPage, isFetchNextPageError } = pages;
  const goOn = (): void => {
    if (hasNextPage && !isFetching && !isFetchNextPageError) {
      void fetchNextPage();
    }
  };
  useEnough(events.length, goOn, pages.data);
  const change: Change = (parts) =>
    void navigate({
      search: (before) => Object.fromEntries(Object.entries({ ...before, ...parts }).filter(([, value]) => value !== undefined)),
      replace: true,
    });
  const columns = useMemo(() => columnsOf(setShown), []);
  const choices = useMemo(() => ({ actors: namesOf(events, "actor"), resources: namesOf(events, "resource") }), [events]);
  return (
    <Page
      title="Activity"
      subtitle="Who did what, when, and how it ended"
      filling
      actions={
        <>
          <CommandsButton method={SecretService.method.listAuditEvents} request={auditRequest(filter)} words={wordsOf(filter)} />
          <ExportMenu onExport={setExported} />
        </>
      }
    >
      <Filters search={search} onChange={change} {...choices} />
      <Standing list={list} />
      {newer.number > 0 && (
        <Button appearance="primary" className={styles.newer} onClick={beginAgain}>
          Show {grouped(newer.number)}
          {newer.more && " or more"} newer {newer.number === 1 ? "event" : "events"}
        </Button>
      )}
      {pages.data === undefined ? (
        pages.error === null ? (
          <Loading what="the audit" />
        ) : (
          <Problem error={pages.error} onRetry={() => void pages.refetch()} />
        )
      ) : (
        <DataTable
          key={list.begun}
          label="Events of the audit, newest first"
          rows={events}
          columns={columns}
          idOf={({ name }) => name}
          onEnd={goOn}
          empty={!hasOlder && <None narrowed={isNarrowed(search)} />}
        />
      )}
      {shown !== undefined && <Details event={shown} onClose={() => setShown(undefined)} />}
      {exported !== undefined && <ExportDialog filter={filter} format={exported} onClose={() => setExported(undefined)} />}
    </Page>
  );
}

/** Where the filter leaves little of a page, goes on until there is enough to see. */
function useEnough(number: number, goOn: () => void, data: unknown): void {
  useEffect(() => {
    if (number < ENOUGH) {
      goOn();
    }
    // Once for each page that came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [data]);
}

function ExportMenu({ onExport }: { onExport: (format: ExportFormat) => void }): ReactNode {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button icon={<ArrowDownloadRegular />}>Export</Button>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuItem onClick={() => onExport("csv")}>CSV, for spreadsheets</MenuItem>
          <MenuItem onClick={() => onExport("json")}>JSON, for programs</MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

/** How much there is, as of when, and what the page had to do itself. */
function Standing({ list }: { list: ReturnType<typeof useEvents> }): ReactNode {
  const { pages, events, newer, leftOut, sent, begun, hasOlder } = list;
  if (pages.data === undefined) {
    return null;
  }
  const looked = newer.lookedAt === 0 ? begun : newer.lookedAt;
  return (
    <>
      <Text role="status">
        {hasOlder
          ? `The newest ${count(events.length, "event")}; older ones follow as you scroll.`
          : `All ${count(events.length, "event")}.`}{" "}
        {pages.isPlaceholderData && "Loading the newest ones… "}
        {pages.isFetchingNextPage && "Loading older ones… "}
        As of <Time value={new Date(begun)} />; looked for newer ones at <Time value={new Date(looked)} />.
      </Text>
      {leftOut > 0 && (
        <MessageBar intent="info" layout="multiline">
          <MessageBarBody>
            This service doesn't know all of these filters: the page looked through {count(sent, "event")} itself and left out{" "}
            {grouped(leftOut)}.
          </MessageBarBody>
        </MessageBar>
      )}
      {pages.isFetchNextPageError && (
        <Problem error={pages.error} title="Older events could not be loaded." onRetry={() => void pages.fetchNextPage()} />
      )}
      {newer.error !== null && (
        <Problem error={newer.error} title="There may be newer events: nobody could look." onRetry={() => void newer.refetch()} />
      )}
    </>
  );
}

function None({ narrowed }: { narrowed: boolean }): ReactNode {
  return narrowed ? (
    <Empty title="No event fits the filters.">Take one away, or choose a longer time span.</Empty>
  ) : (
    <Empty title="The audit has no events yet.">What somebody changes or is refused shows here.</Empty>
  );
}

function columnsOf(show: (event: AuditEvent) => void): readonly Column<AuditEvent>[] {
  return [
    { id: "time", title: "Time", width: "9.5rem", cell: ({ eventTime }) => <Time value={eventTime} /> },
    { id: "outcome", title: "Outcome", width: "9rem", from: 520, cell: ({ outcome }) => <OutcomeBadge outcome={outcome} /> },
    {
      id: "action",
      title: "What happened",
      width: "minmax(8rem, 2fr)",
      cell: (event) => (
        <FluentLink as="button" onClick={() => show(event)}>
          {wordsOfEvent(event)}
        </FluentLink>
      ),
    },
    { id: "resource", title: "Resource", width: "minmax(8rem, 2fr)", from: 640, cell: ({ resource }) => <ResourceLink name={resource} full /> },
    { id: "actor", title: "Actor", width: "minmax(8rem, 1.5fr)", from: 860, cell: ({ actor }) => actor },
    { id: "detail", title: "Detail", width: "minmax(10rem, 3fr)", from: 1100, cell: ({ detail }) => detail },
  ];
}

/** What the events have under a name, each once. */
function namesOf(events: readonly AuditEvent[], part: "actor" | "resource"): readonly string[] {
  return [...new Set(events.map((event) => event[part]))].filter((name) => name !== "").sort();
}
