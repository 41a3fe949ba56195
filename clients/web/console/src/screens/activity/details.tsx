/** All that the audit has of an event. */
import type { AuditEvent } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { CopyText } from "../../ui/copy";
import { CloseButton, Dialog } from "../../ui/dialog";
import { wordsOfEvent } from "../../ui/events";
import { Facts } from "../../ui/facts";
import { OutcomeBadge } from "../../ui/outcome";
import { ResourceLink } from "../../ui/resource-link";
import { absolute } from "../../ui/time";
import { timestampDate } from "@bufbuild/protobuf/wkt";

export function Details({ event, onClose }: { event: AuditEvent; onClose: () => void }): ReactNode {
  const { name, eventTime, actor, action, resource, outcome, detail, requestId } = event;
  const date = eventTime && timestampDate(eventTime);
  return (
    <Dialog
      onClose={onClose}
      title={wordsOfEvent(event)}
      actions={<CloseButton>Close</CloseButton>}
    >
      <Facts
        facts={[
          ["Resource", resource && <ResourceLink name={resource} full />],
          [
            "Outcome",
            <span key="outcome">
              <OutcomeBadge outcome={outcome} /> <code>{outcome}</code>
            </span>,
          ],
          ["What happened", detail],
          ["When", date && `${absolute(date, "local")} (local), ${date.toISOString()}`],
          ["Who", actor === "sync" ? "sync: the service by itself" : <CopyText key="actor" text={actor} label="Copy the actor" />],
          ["Action", <code key="action">{action}</code>],
          ["Request", requestId && <CopyText key="request" text={requestId} label="Copy the request ID" />],
          ["Event", <code key="name">{name}</code>],
        ]}
      />
    </Dialog>
  );
}
