/** One secret: all that is known of a synced secret, and all that can be done with it. */
import { NotFoundError, type SyncedSecret } from "@iotoperations/secret-service-client";
import { useParams } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { useLiveSecrets, useSyncedSecret } from "../../api/hooks";
import { Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Time } from "../../ui/time";
import { NotThere } from "./absent";
import { presenceOf, type Watched } from "./presence";
import { Present } from "./present";

export function Secret(): ReactNode {
  const { id } = useParams({ from: "/secrets/$id" });
  return <OneSecret key={id} id={id} />;
}

function OneSecret({ id }: { id: string }): ReactNode {
  const query = useSyncedSecret(id);
  const { data, error } = query;
  const presence = presenceOf({ wasRead: data !== undefined, error }, useWatched(`syncedSecrets/${id}`));
  const wasAbsent = useWas(presence === "absent", data !== undefined);
  const lookAgain = (): void => void query.refetch();
  if (data !== undefined) {
    const stale = <Stale query={query} secret={data} />;
    return <Present secret={data} isGone={presence === "gone"} lookedAt={query.dataUpdatedAt} stale={stale} />;
  }
  // Where it is looked for again, what was found before is shown, with what somebody is doing there.
  if (presence === "absent" || (wasAbsent && error === null)) {
    return <NotThere id={id} onLookAgain={lookAgain} />;
  }
  return <Page title={id}>{presence === "unknown" ? <Problem error={error} onRetry={lookAgain} /> : <Loading what={id} />}</Page>;
}

/** Whether something was so, until it is over. */
function useWas(is: boolean, isOver: boolean): boolean {
  const [was, setWas] = useState(is);
  if (is !== was && (is || isOver)) {
    setWas(is);
  }
  return is || (was && !isOver);
}

/** Says that the last look failed, and as of when all that is shown is. */
function Stale({ query, secret }: { query: ReturnType<typeof useSyncedSecret>; secret: SyncedSecret }): ReactNode {
  if (query.error === null || query.error instanceof NotFoundError) {
    return null;
  }
  return (
    <>
      <Problem error={query.error} title={`${secret.name} could not be looked at again.`} onRetry={() => void query.refetch()} />
      <span>
        What is shown is as of <Time value={new Date(query.dataUpdatedAt)} />.
      </span>
    </>
  );
}

/** What the watch knows of it: a deletion by whomever shows at once. */
function useWatched(name: string): Watched {
  const { status, byName } = useLiveSecrets();
  const has = byName.has(name);
  const [had, setHad] = useState(has);
  if (has && !had) {
    setHad(true);
  }
  return { has, had, isLive: status === "live" };
}
