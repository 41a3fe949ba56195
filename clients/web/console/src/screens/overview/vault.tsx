/** The vault, the engine, and the settings that hold or not. */
import { Badge, Button, makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Text, tokens, Tooltip } from "@fluentui/react-components";
import { ArrowClockwiseRegular, CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular, SubtractCircleRegular } from "@fluentui/react-icons";
import type { Vault } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { ReactElement, ReactNode } from "react";

import { useVault } from "../../api/hooks";
import { CommandsButton } from "../../ui/commands";
import { CopyText } from "../../ui/copy";
import { Facts } from "../../ui/facts";
import { Time } from "../../ui/time";
import { wordsOfEngine } from "../../ui/words";
import { Item, List } from "./list";
import { AskedPart, Panel } from "./panel";
import { settingsOf, type Setting, type Weight } from "./settings";
import { Folded } from "./folded";

const useStyles = makeStyles({
  who: { display: "block", color: tokens.colorNeutralForeground3 },
  actions: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalXS },
});

/** All that a look at the vault and the instance found. */
export function VaultPanel(): ReactNode {
  const styles = useStyles();
  const query = useVault();
  const actions = (
    <div className={styles.actions}>
      <CommandsButton method={SecretService.method.getVault} request={{ name: "vault" }} words={["vault", "check"]} size="small" />
      <Tooltip content="Look again" relationship="label">
        <Button
          appearance="subtle"
          size="small"
          icon={<ArrowClockwiseRegular />}
          disabledFocusable={query.isFetching}
          onClick={() => void query.refetch()}
        />
      </Tooltip>
    </div>
  );
  return (
    <Panel title="Key Vault and settings" actions={actions}>
      <AskedPart query={query} what="the vault" lookedAt={({ checkTime }) => checkTime && timestampDate(checkTime)}>
        {(vault, isOld) => (
          <>
            <VaultFacts vault={vault} />
            <Settings settings={settingsOf(vault)} isOld={isOld} />
          </>
        )}
      </AskedPart>
    </Panel>
  );
}

function VaultFacts({ vault: { uri, tenantId, engine } }: { vault: Vault }): ReactNode {
  return (
    <Facts
      facts={[
        ["Key Vault", nameOf(uri)],
        ["Vault URI", <CopyText key="uri" text={uri} label="Copy the vault URI" />],
        ["Tenant", tenantId === "" ? "unknown" : <CopyText key="tenant" text={tenantId} label="Copy the tenant ID" />],
        ["Engine", wordsOfEngine(engine)],
      ]}
    />
  );
}

/** `contoso` of `https://contoso.vault.azure.net/`; nothing where the address has no name. */
function nameOf(uri: string): string {
  const [, name = ""] = /^https:\/\/([\w-]+)\.(?:vault|managedhsm)\./.exec(uri) ?? [];
  return name;
}

/** What is in the way stands open; what holds is folded together. */
function Settings({ settings, isOld }: { settings: readonly Setting[]; isOld: boolean }): ReactNode {
  const open = settings.filter(({ weight }) => weight === "problem" || weight === "unknown");
  const folded = settings.filter((setting) => !open.includes(setting));
  const ready = settings.find(({ type }) => type === "SecureSettings");
  return (
    <>
      {ready?.weight === "holds" && !isOld && (
        <MessageBar intent="success">
          <MessageBarBody>
            <MessageBarTitle>{ready.title}.</MessageBarTitle> {ready.message}
          </MessageBarBody>
        </MessageBar>
      )}
      {open.length > 0 && (
        <List label="Settings that don't hold">
          {open.map((setting) => (
            <SettingItem key={setting.type} setting={setting} />
          ))}
        </List>
      )}
      {folded.length > 0 && (
        <Folded title={summaryOf(folded)}>
          <List label="Other settings">
            {folded.map((setting) => (
              <SettingItem key={setting.type} setting={setting} />
            ))}
          </List>
        </Folded>
      )}
    </>
  );
}

function SettingItem({ setting: { title, weight, who, message, since } }: { setting: Setting }): ReactNode {
  const styles = useStyles();
  const isOpen = weight === "problem" || weight === "unknown";
  return (
    <Item
      badge={BADGES[weight]}
      what={<Text weight={isOpen ? "semibold" : "regular"}>{title}</Text>}
      when={isOpen && since ? <>since <Time value={since} /></> : undefined}
      why={
        <>
          {message}
          {who !== "" && <span className={styles.who}>Whose part it is: {who}.</span>}
        </>
      }
    />
  );
}

const BADGES: Readonly<Record<Weight, ReactElement>> = {
  problem: (
    <Badge appearance="tint" color="danger" icon={<ErrorCircleRegular />}>
      No
    </Badge>
  ),
  unknown: (
    <Badge appearance="tint" color="warning" icon={<QuestionCircleRegular />}>
      Unknown
    </Badge>
  ),
  unchecked: (
    <Badge appearance="tint" color="subtle" icon={<QuestionCircleRegular />}>
      Not checked
    </Badge>
  ),
  unneeded: (
    <Badge appearance="tint" color="subtle" icon={<SubtractCircleRegular />}>
      Not needed
    </Badge>
  ),
  holds: (
    <Badge appearance="tint" color="success" icon={<CheckmarkCircleRegular />}>
      Yes
    </Badge>
  ),
};

/** `6 hold, 2 were not checked`. */
function summaryOf(settings: readonly Setting[]): string {
  const number = (wanted: Weight): number => settings.filter(({ weight }) => weight === wanted).length;
  const parts = [
    [number("holds"), "hold"],
    [number("unchecked"), "not checked"],
    [number("unneeded"), "not needed"],
  ] as const;
  return parts.flatMap(([count, words]) => (count === 0 ? [] : [`${count} ${words}`])).join(", ");
}
