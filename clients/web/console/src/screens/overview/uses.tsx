/** The uses that can't work: a resource names a secret or a key that isn't there. */
import { Badge, Text } from "@fluentui/react-components";
import { ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import { idOf, type SecretUsage } from "@iotoperations/secret-service-client";
import type { ReactNode } from "react";

import { textToPaste, useLiveSecrets, useUnreadKinds, useUsages, useVaultSecret } from "../../api/hooks";
import { Link, LinkButton } from "../../app/navigation";
import { UnreadKinds } from "../../ui/unread";
import { isKnownToBeThere } from "../../ui/usages";
import { count, grouped } from "../../ui/words";
import { Item, List, Nothing, SHOWN } from "./list";
import { AskedPart, Panel } from "./panel";
import { brokenOf, mayBeVaultSecret, placeOf } from "./standing";

export function BrokenUsesPanel(): ReactNode {
  return (
    <Panel
      title="Broken uses"
      actions={
        <LinkButton to="/uses" appearance="subtle" size="small">
          All uses
        </LinkButton>
      }
    >
      <AskedPart query={useUsages()} what="the uses">
        {(usages, isOld) => (
          <>
            <UnreadKinds />
            <BrokenUses usages={usages} isOld={isOld} />
          </>
        )}
      </AskedPart>
    </Panel>
  );
}

export function BrokenUses({ usages, isOld = false }: { usages: readonly SecretUsage[]; isOld?: boolean }): ReactNode {
  const { byName, status } = useLiveSecrets();
  const unread = useUnreadKinds();
  const broken = brokenOf(usages);
  if (broken.length === 0) {
    if (usages.length === 0) {
      return <Text>{unread.length === 0 ? "No resource of this instance names a secret." : "No resource that the service can read names a secret."}</Text>;
    }
    const isSeen = status === "live" && !isOld && unread.length === 0;
    const fields = count(usages.length, "field");
    return isSeen && usages.every((usage) => isKnownToBeThere(usage, byName)) ? (
      <Nothing>All {fields} that name a secret name one that is there, with its key.</Nothing>
    ) : (
      <Text>
        Of {fields} that name a secret, none is known to name what is not there. Keys in Secrets of other tools are not looked at.
      </Text>
    );
  }
  return (
    <>
      <List label="Fields that name a secret or a key that isn't there">
        {broken.slice(0, SHOWN).map((usage) => (
          <BrokenUse key={placeOf(usage)} usage={usage} />
        ))}
      </List>
      {broken.length > SHOWN && <Link to="/uses">All {grouped(broken.length)}</Link>}
    </>
  );
}

function BrokenUse({ usage }: { usage: SecretUsage }): ReactNode {
  const { kind, resource, field, key, guessed, secretMissing, syncedSecret } = usage;
  return (
    <Item
      badge={
        guessed ? (
          <Badge appearance="tint" color="subtle" icon={<QuestionCircleRegular />}>
            Maybe
          </Badge>
        ) : (
          <Badge appearance="tint" color="danger" icon={<ErrorCircleRegular />}>
            Broken
          </Badge>
        )
      }
      what={
        <>
          {kind} <strong>{resource}</strong>
        </>
      }
      why={
        <>
          <code>{field}</code> names <code>{textToPaste(syncedSecret, key)}</code>
          {secretMissing ? ", and the edge has no such secret. " : <Missing usage={usage} />}
          {guessed && "Only the name of the field suggests that it names a secret. "}
          {secretMissing && mayBeVaultSecret(syncedSecret) && <VaultSecretHint id={idOf(syncedSecret)} />}
        </>
      }
    />
  );
}

function Missing({ usage: { syncedSecret, key } }: { usage: SecretUsage }): ReactNode {
  const id = idOf(syncedSecret);
  return (
    <>
      , and{" "}
      <Link to="/secrets/$id" params={{ id }}>
        {id}
      </Link>{" "}
      {key === "" ? "lacks a key that this field needs. " : `has no key ${key}. `}
    </>
  );
}

/** Whoever types the vault secret's name into an endpoint finds out here. */
function VaultSecretHint({ id }: { id: string }): ReactNode {
  const { data } = useVaultSecret(id);
  return (
    data !== undefined && (
      <>
        That is a vault secret:{" "}
        <Link to="/new" search={{ vaultSecret: [id] }}>
          sync it
        </Link>
        .
      </>
    )
  );
}
