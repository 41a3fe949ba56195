/** What the caller may not do: greyed buttons elsewhere have their reason here. */
import { Badge, Button, Text } from "@fluentui/react-components";
import { ProhibitedRegular } from "@fluentui/react-icons";
import type { Caller } from "@iotoperations/secret-service-client/v1";
import { lazy, Suspense, useState, type ReactNode } from "react";

import { isUnimplemented, useCaller } from "../../api/hooks";
import { rightsOf } from "../../app/methods";
import { Item, List, Nothing, SHOWN } from "./list";
import { AskedPart, Panel } from "./panel";

const PersonDialog = lazy(() => import("../../app/person").then((module) => ({ default: module.PersonDialog })));

export function YouPanel(): ReactNode {
  const query = useCaller();
  const [isAsked, setAsked] = useState(false);
  const actions = (
    <Button appearance="subtle" size="small" onClick={() => setAsked(true)}>
      Who am I
    </Button>
  );
  return (
    <Panel title="You" actions={actions}>
      {isUnimplemented(query.error) ? (
        <Text>This service doesn't tell what you may do: it decides on each call.</Text>
      ) : (
        <AskedPart query={query} what="who you are">
          {(caller) => <Denied caller={caller} />}
        </AskedPart>
      )}
      {isAsked && (
        <Suspense>
          <PersonDialog onClose={() => setAsked(false)} />
        </Suspense>
      )}
    </Panel>
  );
}

function Denied({ caller }: { caller: Caller }): ReactNode {
  const { allowed, someNames, denied } = rightsOf(caller);
  return (
    <>
      <Text>
        You are <strong>{caller.user}</strong>.
      </Text>
      {denied.length === 0 && someNames.length === 0 && allowed.length > 0 && <Nothing>You may do everything here.</Nothing>}
      {someNames.length > 0 && (
        <Text>{someNames.length} of the service's methods you may use for some names, or not at all: the resource tells.</Text>
      )}
      {denied.length > 0 && (
        <List label="What you may not do">
          {denied.slice(0, SHOWN).map(({ id, words, why }) => (
            <Item
              key={id}
              badge={
                <Badge appearance="tint" color="warning" icon={<ProhibitedRegular />}>
                  You lack it
                </Badge>
              }
              what={`You may not ${words}`}
              why={why}
            />
          ))}
        </List>
      )}
      {denied.length > SHOWN && <Text>And {denied.length - SHOWN} more: see who you are.</Text>}
    </>
  );
}
