/** All that the audit has of an event. */
import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  DialogTrigger,
} from "@fluentui/react-components";
import type { AuditEvent } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { CopyText } from "../../ui/copy";
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
    <Dialog open onOpenChange={(_, { open }) => !open && onClose()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{wordsOfEvent(event)}</DialogTitle>
          <DialogContent>
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
          </DialogContent>
          <DialogActions>
            <DialogTrigger disableButtonEnhancement>
              <Button>Close</Button>
            </DialogTrigger>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}
