/** Who did what with it, newest first. */
import { Code, SecretServiceError, type AuditEvent } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { useEffect, type ReactNode } from "react";

import { usePermission } from "../../api/hooks";
import { LinkButton } from "../../app/navigation";
import { wordsOfEvent } from "../../ui/events";
import { OutcomeBadge } from "../../ui/outcome";
import { Loading, Section } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Time } from "../../ui/time";

const PAGE = 20;

const useStyles = makeStyles({
  list: { display: "grid", margin: 0, padding: 0, listStyleType: "none" },
  item: {
    display: "grid",
    gridTemplateColumns: "11rem minmax(10rem, 14rem) 6rem minmax(0, 1fr)",
    gap: `${tokens.spacingVerticalXXS} ${tokens.spacingHorizontalL}`,
    paddingBlock: tokens.spacingVerticalS,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    overflowWrap: "anywhere",
    "@media (max-width: 900px)": { gridTemplateColumns: "minmax(0, 1fr) max-content" },
  },
  what: { display: "flex", flexDirection: "column", minWidth: 0, "@media (max-width: 900px)": { gridColumnStart: 1, gridColumnEnd: -1 } },
  muted: { color: tokens.colorNeutralForeground3 },
});

interface HistoryProps {
  readonly name: string;
  /** Of the synced secret: a new one means that there is something new to tell. */
  readonly generation?: bigint;
}

export function History({ name, generation }: HistoryProps): ReactNode {
  const styles = useStyles();
  const { allowed, why } = usePermission("ListAuditEvents");
  const query = useInfiniteQuery(
    SecretService.method.listAuditEvents,
    { resource: name, pageSize: PAGE, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined, enabled: allowed },
  );
  const { refetch } = query;
  useEffect(() => {
    if (generation !== undefined && allowed) {
      void refetch();
    }
  }, [generation, allowed, refetch]);
  const events = query.data?.pages.flatMap(({ auditEvents }) => auditEvents) ?? [];
  return (
    <Section
      title="History"
      actions={
        <LinkButton to="/activity" search={{ resource: name }}>
          See it in Activity
        </LinkButton>
      }
    >
      {!allowed && <Text>{why}</Text>}
      {query.isError && <Problem error={query.error} title={titleOf(query.error)} onRetry={() => void refetch()} />}
      {query.isPending && allowed && <Loading what="the history" />}
      {query.isSuccess && events.length === 0 && <Text>Nothing is recorded, or what was is older than the audit is kept.</Text>}
      <ol className={styles.list}>
        {events.map((event) => (
          <Event key={event.name} event={event} />
        ))}
      </ol>
      {query.hasNextPage && (
        <div>
          <Button disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {query.isFetchingNextPage ? "Loading…" : "Show more"}
          </Button>
        </div>
      )}
    </Section>
  );
}

function Event({ event }: { event: AuditEvent }): ReactNode {
  const styles = useStyles();
  const { actor, detail, eventTime, outcome } = event;
  return (
    <li className={styles.item}>
      <Time value={eventTime} />
      <Text weight="semibold">{wordsOfEvent(event)}</Text>
      <span>
        <OutcomeBadge outcome={outcome} />
      </span>
      <span className={styles.what}>
        <Text>{detail}</Text>
        <Text size={200} className={styles.muted}>
          by {actor === "" ? "somebody unknown" : actor}
        </Text>
      </span>
    </li>
  );
}

function titleOf(error: unknown): string {
  return error instanceof SecretServiceError && error.code === Code.PermissionDenied ? "You may not see the history." : "The history could not be read.";
}
