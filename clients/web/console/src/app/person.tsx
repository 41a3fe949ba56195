/** Who the service takes the caller for, and what they may do. */
import {
  Accordion,
  AccordionHeader,
  AccordionItem,
  AccordionPanel,
  makeStyles,
  MessageBar,
  MessageBarBody,
  Text,
  tokens,
} from "@fluentui/react-components";
import { SecretService, type Caller } from "@iotoperations/secret-service-client/v1";
import type { ReactNode } from "react";

import { isUnimplemented, useCaller } from "../api/hooks";
import { CommandsButton } from "../ui/commands";
import { CloseButton, Dialog } from "../ui/dialog";
import { Facts } from "../ui/facts";
import { Loading } from "../ui/page";
import { Problem } from "../ui/problem";
import { Time } from "../ui/time";
import { rightsOf, wordsOfAuthentication, type Right } from "./methods";

const useStyles = makeStyles({
  rights: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalS, margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
  why: { display: "block", color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
  groups: { margin: 0, paddingInlineStart: tokens.spacingHorizontalL },
});

/** The dialog behind the person in the head of the page. */
export function PersonDialog({ onClose }: { onClose: () => void }): ReactNode {
  return (
    <Dialog
      onClose={onClose}
      title="Who you are to the service"
      actions={
        <>
          <CommandsButton method={SecretService.method.getCaller} request={{ name: "caller" }} words={["secrets", "whoami"]} />
          <CloseButton>Close</CloseButton>
        </>
      }
    >
      <Person />
    </Dialog>
  );
}

function Person(): ReactNode {
  const { data, error, refetch, dataUpdatedAt } = useCaller();
  if (data === undefined) {
    if (isUnimplemented(error)) {
      return <Text>This service is older than the page: it doesn't tell who you are, and decides on each call what you may do.</Text>;
    }
    return error === null ? <Loading what="who you are" /> : <Problem error={error} onRetry={() => void refetch()} />;
  }
  return (
    <>
      {error !== null && <Problem error={error} onRetry={() => void refetch()} />}
      <CallerFacts caller={data} />
      <CallerRights caller={data} />
      <Text size={200}>
        Looked at <Time value={new Date(dataUpdatedAt)} />.
      </Text>
    </>
  );
}

function CallerFacts({ caller }: { caller: Caller }): ReactNode {
  const styles = useStyles();
  const { user, groups, groupsIncomplete, authentication, expireTime } = caller;
  const list =
    groups.length === 0 ? (
      "none"
    ) : (
      <ul className={styles.groups}>
        {groups.map((group) => (
          <li key={group}>{group}</li>
        ))}
      </ul>
    );
  return (
    <>
      <Facts
        facts={[
          ["User", user],
          ["Groups", list],
          ["How it is proved", wordsOfAuthentication(authentication)],
          ["Until", expireTime === undefined ? "The credentials don't say" : <Time key="until" value={expireTime} />],
        ]}
      />
      {groupsIncomplete && (
        <MessageBar intent="warning" layout="multiline">
          <MessageBarBody>Your token leaves out groups. What they are granted doesn't count until it has them.</MessageBarBody>
        </MessageBar>
      )}
    </>
  );
}

/** What is denied stands open, because somebody has to grant it. */
function CallerRights({ caller }: { caller: Caller }): ReactNode {
  const { allowed, someNames, denied } = rightsOf(caller);
  return (
    <Accordion multiple collapsible defaultOpenItems={denied.length > 0 ? ["denied"] : []}>
      <RightsItem value="denied" title="You may not" rights={denied} />
      <RightsItem value="someNames" title="You may for some names, or not at all" rights={someNames} />
      <RightsItem value="allowed" title="You may" rights={allowed} />
    </Accordion>
  );
}

function RightsItem({ value, title, rights }: { value: string; title: string; rights: readonly Right[] }): ReactNode {
  const styles = useStyles();
  return rights.length === 0 ? null : (
    <AccordionItem value={value}>
      <AccordionHeader as="h3">
        {title} ({rights.length})
      </AccordionHeader>
      <AccordionPanel>
        <ul className={styles.rights}>
          {rights.map(({ id, words, why }) => (
            <li key={id}>
              {words}
              {why !== "" && (
                <Text size={200} className={styles.why}>
                  {why}
                </Text>
              )}
            </li>
          ))}
        </ul>
      </AccordionPanel>
    </AccordionItem>
  );
}
