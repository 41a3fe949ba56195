/** The last step after creating: whether the edge has it, as the watch and the service tell, not as anybody hopes. */
import { conditionOf, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { makeStyles, Spinner, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import { useQuery } from "@connectrpc/connect-query";
import { useEffect, type ReactNode } from "react";

import { useLiveSecrets } from "../../api/hooks";
import { messageOf } from "../../ui/problem";
import { Time } from "../../ui/time";
import { arrivalOf, type Arrival } from "./arrival";
import { Step } from "./step";

const useStyles = makeStyles({
  good: { color: tokens.colorPaletteGreenForeground1 },
  bad: { color: tokens.colorPaletteRedForeground1 },
});

/** How often to ask while the watch tells everything, and while it doesn't. */
const [CALM_MS, WATCHFUL_MS] = [30_000, 3_000];

/** How far it is, and why that is unknown where it is. */
function useArrival(created: SyncedSecret): { arrival: Arrival; error: unknown } {
  const live = useLiveSecrets();
  const refetchInterval = live.status === "live" ? CALM_MS : WATCHFUL_MS;
  const { data, dataUpdatedAt, error, refetch } = useQuery(SecretService.method.getSyncedSecret, { name: created.name }, { refetchInterval, gcTime: 0 });
  const seen = live.byName.get(created.name);
  useEffect(() => {
    // Also where the watch has it no more.
    void refetch();
  }, [seen, refetch]);
  return { arrival: arrivalOf(created, live, { data, dataUpdatedAt, error }), error };
}

export function AtEdge({ created }: { created: SyncedSecret }): ReactNode {
  const styles = useStyles();
  const { arrival, error } = useArrival(created);
  switch (arrival.state) {
    case "at-edge": {
      const { syncTime } = arrival.secret;
      return (
        <Step icon={<CheckmarkCircleRegular className={styles.good} />}>
          At the edge: the Kubernetes Secret has the values. {syncTime !== undefined && <>Since <Time value={syncTime} />.</>}
        </Step>
      );
    }
    case "failed":
      return (
        <Step icon={<ErrorCircleRegular className={styles.bad} />}>
          Not at the edge: the attempt failed. {conditionOf(arrival.secret, "Synced")?.message} The service goes on trying.
        </Step>
      );
    case "deleting":
      return <Step icon={<ErrorCircleRegular className={styles.bad} />}>Not at the edge for long: it is being deleted.</Step>;
    case "gone":
      return <Step icon={<ErrorCircleRegular className={styles.bad} />}>It is not there any more: it was deleted since.</Step>;
    case "unknown":
      return (
        <Step icon={<QuestionCircleRegular />}>
          Whether it is at the edge is unknown. {messageOf(error)}{" "}
          {arrival.looked === 0 ? "Nothing was seen of it since it was created." : <>It was last seen <Time value={new Date(arrival.looked)} distance />: not there yet.</>}
        </Step>
      );
    case "coming":
      return <Step icon={<Spinner size="tiny" />}>On its way to the edge…</Step>;
  }
}
