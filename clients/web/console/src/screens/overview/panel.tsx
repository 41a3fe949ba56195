/** A part of the overview: it is loaded, fails and is tried again by itself, and says when it was looked at. */
import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle, Text, tokens } from "@fluentui/react-components";
import { ServiceUnreachableError } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { useLive } from "../../api/connection";
import { useLiveSecrets } from "../../api/hooks";
import type { LiveSnapshot } from "../../api/live";
import { Loading, Section } from "../../ui/page";
import { messageOf, Problem, titleOf } from "../../ui/problem";
import { Time } from "../../ui/time";

const useStyles = makeStyles({
  panel: {
    display: "flex",
    flexDirection: "column",
    minWidth: 0,
    padding: tokens.spacingHorizontalL,
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  looked: { color: tokens.colorNeutralForeground3 },
});

export function Panel({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }): ReactNode {
  return (
    <div className={useStyles().panel}>
      <Section title={title} actions={actions}>
        {children}
      </Section>
    </div>
  );
}

/** When what stands above was looked at. */
export function LookedAt({ time, note = "" }: { time: Date; note?: string }): ReactNode {
  return (
    <Text size={200} className={useStyles().looked}>
      Looked at <Time value={time} />.{note !== "" && ` ${note}`}
    </Text>
  );
}

/** What a query tells of itself. */
interface Asked<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly dataUpdatedAt: number;
  readonly refetch: () => unknown;
}

interface AskedPartProps<Data> {
  readonly query: Asked<Data>;
  readonly what: string;
  /** `isOld`: a later look failed, so that nobody knows whether it is still so. */
  readonly children: (data: Data, isOld: boolean) => ReactNode;
  /** When the service itself looked, where it says so; when the page asked otherwise. */
  readonly lookedAt?: (data: Data) => Date | undefined;
}

/** What was asked for. Where a later look failed, what an earlier one found stays, and says how old it is. */
export function AskedPart<Data>({ query, what, children, lookedAt }: AskedPartProps<Data>): ReactNode {
  const { data, error, dataUpdatedAt, refetch } = query;
  const again = (): void => void refetch();
  if (data === undefined) {
    return error === null ? <Loading what={what} /> : <Problem error={error} onRetry={again} />;
  }
  const time = lookedAt?.(data) ?? new Date(dataUpdatedAt);
  return (
    <>
      {error !== null && <Old error={error} since={time} onRetry={again} />}
      {children(data, error !== null)}
      {error === null && <LookedAt time={time} />}
    </>
  );
}

/** What is watched. */
export function WatchedPart({ children }: { children: (snapshot: LiveSnapshot) => ReactNode }): ReactNode {
  const snapshot = useLiveSecrets();
  const live = useLive();
  const { status, error, heard } = snapshot;
  const again = (): void => live.start();
  if (status === "loading") {
    return <Loading what="the synced secrets" />;
  }
  if (status === "live") {
    return (
      <>
        {children(snapshot)}
        <LookedAt time={new Date(heard)} note="Changes show by themselves." />
      </>
    );
  }
  // Nothing was heard before it failed: what is not known is not shown as none.
  if (status === "failed" && snapshot.secrets.length === 0) {
    return <Problem error={error} onRetry={again} />;
  }
  return (
    <>
      <Old error={error} since={new Date(heard)} onRetry={again} />
      {children(snapshot)}
    </>
  );
}

function Old({ error, since, onRetry }: { error: unknown; since: Date; onRetry: () => void }): ReactNode {
  return (
    <MessageBar intent="warning" layout="multiline">
      <MessageBarBody>
        <MessageBarTitle>
          As of <Time value={since} />.
        </MessageBarTitle>{" "}
        {error === undefined || error instanceof ServiceUnreachableError
          ? "Nobody knows what is so by now: the service can't be reached."
          : `${titleOf(error)} ${messageOf(error)}`}
      </MessageBarBody>
      <MessageBarActions>
        <Button size="small" onClick={onRetry}>
          Try again
        </Button>
      </MessageBarActions>
    </MessageBar>
  );
}
