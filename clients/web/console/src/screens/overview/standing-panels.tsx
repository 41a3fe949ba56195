/** What is stale, and what expires. */
import { Badge, Text } from "@fluentui/react-components";
import { ClockAlarmRegular, ErrorCircleRegular } from "@fluentui/react-icons";
import { idOf } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { Link } from "../../app/navigation";
import { StandingBadge } from "../../ui/badges";
import { useNow } from "../../ui/now";
import { ResourceLink } from "../../ui/resource-link";
import { SOON_DAYS } from "../../ui/standing";
import { Time } from "../../ui/time";
import { count, grouped } from "../../ui/words";
import { Item, List, Nothing, SHOWN } from "./list";
import { Panel, WatchedPart } from "./panel";
import { expiriesOf, staleOf, type Expiry, type Stale } from "./standing";

export function StalePanel(): ReactNode {
  return (
    <Panel title="Not in sync">
      <WatchedPart>
        {({ secrets }) => {
          const stale = staleOf(secrets);
          return stale.length === 0 ? (
            <Nothing>None of {count(secrets.length, "synced secret")} is pending, degraded or failed.</Nothing>
          ) : (
            <>
              <List label="Synced secrets that are not in sync, the oldest first">
                {stale.slice(0, SHOWN).map((one) => (
                  <StaleItem key={one.secret.name} stale={one} />
                ))}
              </List>
              {stale.length > SHOWN && (
                <Link to="/secrets" search={{ stale: true }}>
                  All {grouped(stale.length)}
                </Link>
              )}
            </>
          );
        }}
      </WatchedPart>
    </Panel>
  );
}

function StaleItem({ stale: { secret, since, why } }: { stale: Stale }): ReactNode {
  return (
    <Item
      badge={<StandingBadge secret={secret} />}
      what={<ResourceLink name={secret.name} />}
      when={
        since === undefined ? (
          "since when is unknown"
        ) : (
          <>
            since <Time value={since} />
          </>
        )
      }
      why={
        <>
          {why}
          {secret.syncTime !== undefined && (
            <>
              {" "}
              Last in sync at <Time value={secret.syncTime} />.
            </>
          )}
        </>
      }
    />
  );
}

export function ExpiryPanel(): ReactNode {
  const now = useNow();
  return (
    <Panel title="Expires">
      <WatchedPart>
        {({ secrets }) => {
          const expiries = expiriesOf(secrets, now);
          return expiries.length === 0 ? (
            <Nothing>
              Nothing that the service knows a date of has expired or expires within {SOON_DAYS} days, in{" "}
              {count(secrets.length, "synced secret")}.
            </Nothing>
          ) : (
            <>
              <List label="What has expired or expires soon, the earliest first">
                {expiries.slice(0, SHOWN).map((one) => (
                  <ExpiryItem key={`${one.secret.name}/${one.key}/${one.what}`} expiry={one} />
                ))}
              </List>
              <Link to="/secrets" search={{ expiring: true }}>
                {expiries.length > SHOWN ? `All ${grouped(expiries.length)}, in ${secretsOf(expiries)}` : "Show them in Secrets"}
              </Link>
            </>
          );
        }}
      </WatchedPart>
    </Panel>
  );
}

/** How many rows the table of Secrets has for them: one for each synced secret, whatever of it expires. */
function secretsOf(expiries: readonly Expiry[]): string {
  return count(new Set(expiries.map(({ secret }) => secret)).size, "synced secret");
}

const WHAT: Readonly<Record<Expiry["what"], string>> = {
  version: "the version of the vault secret",
  certificate: "the certificate itself",
  secret: "",
};

function ExpiryItem({ expiry: { secret, key, what, at, standing, message } }: { expiry: Expiry }): ReactNode {
  return (
    <Item
      badge={
        <Badge
          appearance="tint"
          color={standing === "expired" ? "danger" : "warning"}
          icon={standing === "expired" ? <ErrorCircleRegular /> : <ClockAlarmRegular />}
        >
          {standing === "expired" ? "Expired" : "Soon"}
        </Badge>
      }
      what={
        <>
          <Link to="/secrets/$id" params={{ id: idOf(secret.name) }}>
            {idOf(secret.name)}
            {key !== "" && `/${key}`}
          </Link>{" "}
          <Text size={200}>{WHAT[what]}</Text>
        </>
      }
      when={
        at !== undefined && (
          <>
            <Time value={new Date(at)} /> (<Time value={new Date(at)} distance />)
          </>
        )
      }
      why={message}
    />
  );
}
