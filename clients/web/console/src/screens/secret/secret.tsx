/** One secret: all that is known of a synced secret, and all that can be done with it. */
import { NotFoundError, type SyncedSecret } from "@iotoperations/secret-service-client";
import { useParams } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { useLiveSecrets, useSyncedSecret } from "../../api/hooks";
import { Loading, Page } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Time } from "../../ui/time";
import { Gone, NotThere } from "./absent";
import { Present } from "./present";

export function Secret(): ReactNode {
  const { id } = useParams({ from: "/secrets/$id" });
  return <OneSecret key={id} id={id} />;
}

function OneSecret({ id }: { id: string }): ReactNode {
  const query = useSyncedSecret(id);
  const { isThere, isGone } = useWhetherThere(`syncedSecrets/${id}`);
  const { data, error } = query;
  const isMissing = error instanceof NotFoundError && !isThere;
  if (isGone || (isMissing && data !== undefined)) {
    return <Gone id={id} />;
  }
  if (isMissing) {
    return <NotThere id={id} onLookAgain={() => void query.refetch()} />;
  }
  if (data === undefined) {
    return (
      <Page title={id}>
        {error === null || isThere ? <Loading what={id} /> : <Problem error={error} onRetry={() => void query.refetch()} />}
      </Page>
    );
  }
  return <Present secret={data} lookedAt={query.dataUpdatedAt} stale={<Stale query={query} secret={data} />} />;
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

/** What the watch knows: a deletion by whomever shows at once. */
function useWhetherThere(name: string): { isThere: boolean; isGone: boolean } {
  const { status, byName } = useLiveSecrets();
  const isThere = byName.has(name);
  const [wasThere, setWasThere] = useState(isThere);
  if (isThere && !wasThere) {
    setWasThere(true);
  }
  return { isThere, isGone: wasThere && !isThere && status === "live" };
}
