/** The last events of the audit. */
import { Badge, Text } from "@fluentui/react-components";
import type { AuditEvent } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { useNewestEvents } from "../../api/audit";
import { LinkButton } from "../../app/navigation";
import { wordsOfEvent } from "../../ui/events";
import { OutcomeBadge } from "../../ui/outcome";
import { ResourceLink } from "../../ui/resource-link";
import { Time } from "../../ui/time";
import { Item, List } from "./list";
import { AskedPart, Panel } from "./panel";

const NEWEST = 10;

export function ChangesPanel(): ReactNode {
  return (
    <Panel
      title="Last changes"
      actions={
        <LinkButton to="/activity" appearance="subtle" size="small">
          All activity
        </LinkButton>
      }
    >
      <AskedPart query={useNewestEvents(NEWEST)} what="the audit">
        {({ auditEvents }) =>
          auditEvents.length === 0 ? (
            <Text>The audit has no events yet.</Text>
          ) : (
            <List label="The newest events of the audit">
              {auditEvents.map((event) => (
                <Change key={event.name} event={event} />
              ))}
            </List>
          )
        }
      </AskedPart>
    </Panel>
  );
}

function Change({ event }: { event: AuditEvent }): ReactNode {
  const { actor, resource, eventTime, outcome } = event;
  return (
    <Item
      badge={<OutcomeBadge outcome={outcome} />}
      what={
        <>
          {wordsOfEvent(event)} {resource !== "" && <ResourceLink name={resource} />}
        </>
      }
      when={<Time value={eventTime} distance />}
      why={<Who actor={actor} />}
    />
  );
}

/** The service calls itself `sync`. */
function Who({ actor }: { actor: string }): ReactNode {
  return actor === "sync" ? (
    <Badge appearance="outline" size="small">
      by itself
    </Badge>
  ) : (
    `by ${actor}`
  );
}
