/** One reference. */
import { idOf, type SecretReference, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import {
  Button,
  makeStyles,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  MessageBar,
  MessageBarBody,
  MessageBarTitle,
  Subtitle2,
  tokens,
} from "@fluentui/react-components";
import { MoreHorizontalRegular } from "@fluentui/react-icons";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { useState, type ReactNode } from "react";

import { textToPaste, useLiveSecrets } from "../../api/hooks";
import { Link } from "../../app/navigation";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CopyText } from "../../ui/copy";
import { Facts } from "../../ui/facts";
import { useNow } from "../../ui/now";
import { Time } from "../../ui/time";
import { validityOf } from "../../ui/validity";
import { ValidityBadge } from "../../ui/validity-badge";
import { CertificateDetails } from "./certificate-details";
import { wordsOfDecoding, wordsOfPart } from "./draft";
import { othersOf } from "./others";
import { useVersionsLook } from "./use-versions-look";
import { standToVault } from "./versions";

const useStyles = makeStyles({
  card: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalM,
    minWidth: 0,
    padding: tokens.spacingHorizontalL,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  head: { display: "flex", flexWrap: "wrap", alignItems: "center", justifyContent: "space-between", gap: tokens.spacingHorizontalS },
  key: { margin: 0, overflowWrap: "anywhere", minWidth: 0 },
  code: { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere" },
  message: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalXS },
  actions: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS, marginTop: "auto" },
  row: { display: "inline-flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
});

interface ReferenceCardProps {
  readonly secret: SyncedSecret;
  readonly reference: SecretReference;
  /** Whether to ask the vault for its latest version at once. */
  readonly compare: boolean;
  /** Why nothing can be changed. */
  readonly unless: string | undefined;
  readonly onRotate: () => void;
  readonly onChange: () => void;
  /** Pins it to a version, or has it follow the latest where that is empty. */
  readonly onPin: (version: string) => void;
  readonly onRemove: () => void;
}

export function ReferenceCard(props: ReferenceCardProps): ReactNode {
  const { secret, reference, compare } = props;
  const styles = useStyles();
  const { key, vaultSecret, version, syncedVersion, problem } = reference;
  const id = idOf(vaultSecret);
  return (
    <li className={styles.card}>
      <span className={styles.head}>
        <Subtitle2 as="h3" className={styles.key}>
          {key}
        </Subtitle2>
        <CopyText text={textToPaste(secret, key)} />
      </span>
      {problem !== undefined && (
        <MessageBar intent="warning" layout="multiline">
          <MessageBarBody className={styles.message}>
            <MessageBarTitle>The edge doesn't have what it says.</MessageBarTitle> {problem.message} ({problem.reason}
            {problem.lastTransitionTime !== undefined && (
              <>
                , since <Time value={problem.lastTransitionTime} />
              </>
            )}
            )
          </MessageBarBody>
        </MessageBar>
      )}
      <Facts
        facts={[
          [
            "Vault secret",
            id !== "" && (
              <Link to="/vault/$id" params={{ id }}>
                {id}
              </Link>
            ),
          ],
          ["At the edge", syncedVersion === "" ? "no version yet" : <span className={styles.code}>{syncedVersion}</span>],
          ["Version", version === "" ? "follows the latest" : <span>pinned to <span className={styles.code}>{version}</span></span>],
          ["In the vault", id !== "" && <Latest reference={reference} compare={compare} />],
          ["Takes", `${wordsOfPart(reference.part)}, ${wordsOfDecoding(reference.encoding)}`],
          ["Expires", reference.expireTime !== undefined && <Expiry time={reference.expireTime} />],
          ["Also synced by", <Others key="others" secret={secret} vaultSecret={vaultSecret} />],
        ]}
      />
      {reference.certificate !== undefined && <CertificateDetails facts={reference.certificate} />}
      <Actions {...props} />
    </li>
  );
}

function Actions({ secret, reference, unless, onRotate, onChange, onPin, onRemove }: ReferenceCardProps): ReactNode {
  const styles = useStyles();
  const { key, vaultSecret, version, syncedVersion } = reference;
  const whyNotRemove = secret.references.length === 1 ? "It is the last one: delete the synced secret instead." : unless;
  return (
    <div className={styles.actions}>
      <ActionButton size="small" method="AddVaultSecretVersion" resource={vaultSecret} unless={unless} aria-label={`Rotate value of ${key}`} onClick={onRotate}>
        Rotate value
      </ActionButton>
      <ActionButton size="small" method="UpdateSyncedSecret" resource={secret.name} unless={unless} aria-label={`Change ${key}`} onClick={onChange}>
        Change
      </ActionButton>
      <ActionButton size="small" method="UpdateSyncedSecret" resource={secret.name} unless={whyNotRemove} aria-label={`Remove ${key}`} onClick={onRemove}>
        Remove
      </ActionButton>
      {unless === undefined && (
        <Menu>
          <MenuTrigger disableButtonEnhancement>
            <Button size="small" appearance="subtle" icon={<MoreHorizontalRegular />} aria-label={`More for ${key}`} />
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              {version !== "" && <MenuItem onClick={() => onPin("")}>Follow the latest version</MenuItem>}
              {syncedVersion !== "" && version !== syncedVersion && (
                <MenuItem onClick={() => onPin(syncedVersion)}>Pin to the version at the edge</MenuItem>
              )}
              <MenuItem onClick={onChange}>Pin to another version</MenuItem>
            </MenuList>
          </MenuPopover>
        </Menu>
      )}
      <CommandsButton
        size="small"
        method={SecretService.method.addVaultSecretVersion}
        request={{ parent: vaultSecret, secret: {}, keepDates: true }}
        words={["vault", "rotate", idOf(vaultSecret), "--keep-dates"]}
        note="This is Rotate value, and keeps the dates of the version before. The command line asks for the value; with grpcurl, put it in yourself."
      />
    </div>
  );
}

/** How the edge stands to the vault, if the vault was asked. */
function Latest({ reference, compare }: { reference: SecretReference; compare: boolean }): ReactNode {
  const [wanted, setWanted] = useState(compare);
  const id = idOf(reference.vaultSecret);
  const { look, lookedAt } = useVersionsLook(reference, wanted);
  if (!wanted) {
    return (
      <Button size="small" aria-label={`Look at the versions of ${id}`} onClick={() => setWanted(true)}>
        Look
      </Button>
    );
  }
  const { words, latest } = standToVault(reference, look);
  if (latest === undefined) {
    return words;
  }
  return (
    <span>
      {words} Stored <Time value={latest.createTime} />
      {latest.enabled ? "." : ", and disabled."} Looked at <Time value={new Date(lookedAt)} />
      {look.problem === "" ? "." : `; not again since: ${look.problem}`}
    </span>
  );
}

function Expiry({ time }: { time: Timestamp }): ReactNode {
  return (
    <span className={useStyles().row}>
      <Time value={time} />
      <ValidityBadge validity={validityOf({ expireTime: time }, useNow())} />
    </span>
  );
}

/** Who else gets a new value of the vault secret, as far as the watch tells. */
function Others({ secret, vaultSecret }: { secret: SyncedSecret; vaultSecret: string }): ReactNode {
  const live = useLiveSecrets();
  const { names, doubt } = othersOf(live, secret.name, vaultSecret);
  return (
    <span>
      {names.length === 0 && doubt === "" && "nothing else"}
      {names.map((name, index) => (
        <span key={name}>
          {index > 0 && ", "}
          <Link to="/secrets/$id" params={{ id: idOf(name) }}>
            {idOf(name)}
          </Link>
        </span>
      ))}
      {names.length > 0 && doubt !== "" && "; "}
      {doubt}
      {doubt !== "" && live.heard > 0 && (
        <>
          , last heard <Time value={new Date(live.heard)} />
        </>
      )}
    </span>
  );
}
