/** One secret in the vault, without its value. */
import { makeStyles, MessageBar, MessageBarBody, MessageBarTitle, Spinner, Text, tokens } from "@fluentui/react-components";
import { AddRegular, ArrowSyncRegular, EditRegular, HistoryRegular } from "@fluentui/react-icons";
import { idOf, NotFoundError, SecretServiceError, type VaultSecret as VaultSecretMessage, type VaultSecretVersion } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useParams } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useMemo, useRef, useState, type ReactNode } from "react";

import { useLiveSecrets, useVaultSecret, useVaultSecretVersions } from "../../api/hooks";
import { Link, LinkButton } from "../../app/navigation";
import { wordsOfEncoding } from "../../references/names";
import { wordsOfContentType } from "../../references/vault-pick";
import { ActionButton } from "../../ui/action";
import { CertificateFacts } from "../../ui/certificate-facts";
import { CommandsButton } from "../../ui/commands";
import { CopyText } from "../../ui/copy";
import { Facts } from "../../ui/facts";
import { Loading, Page, Section } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { Time } from "../../ui/time";
import { validityOf } from "../../ui/validity";
import { ValidityBadge } from "../../ui/validity-badge";
import { ChangeDialog } from "./change";
import { EnableDialog } from "./enable";
import { NewVersion } from "./new-version";
import { RecoverCommands, useRecovery } from "./recover";
import { standingOf, unseenOf } from "./reach";
import { Referrers } from "./referrers";
import { linesOfTags } from "./tags";
import { VaultProblem } from "./vault-problem";
import { Versions, type VersionAction } from "./versions";
import { latestOf, newestFirst, referrersOf, type Referrer } from "./who";

const MANAGED = "The vault manages it as part of a certificate: change the certificate in the vault instead.";

const useStyles = makeStyles({
  line: { display: "inline-flex", flexWrap: "wrap", alignItems: "center", gap: tokens.spacingHorizontalS },
  list: { margin: 0, paddingInlineStart: tokens.spacingHorizontalL },
});

export function VaultSecret(): ReactNode {
  const { id } = useParams({ from: "/vault/$id" });
  // What is typed and open is of one secret.
  return <Shown key={id} id={id} />;
}

function Shown({ id }: { id: string }): ReactNode {
  const query = useVaultSecret(id);
  const { data, error, refetch } = query;
  if (data === undefined) {
    return (
      <Page title={id} subtitle="Vault secret">
        {error === null ? <Loading what="the vault secret" /> : <Absent id={id} error={error} onRetry={() => void refetch()} />}
      </Page>
    );
  }
  return <Secret id={id} secret={data} error={error} onRetry={() => void refetch()} />;
}

/** It isn't there, or can't be read. */
function Absent({ id, error, onRetry }: { id: string; error: unknown; onRetry: () => void }): ReactNode {
  const styles = useStyles();
  const recovering = useRecovery(onRetry);
  const isDeleted = isOfDeleted(error);
  if (!isDeleted && !(error instanceof NotFoundError)) {
    return <VaultProblem error={error} title="The vault secret can’t be read." onRetry={onRetry} />;
  }
  return (
    <>
      <Problem error={error} title={isDeleted ? "It was deleted, and can be recovered." : "The vault doesn’t have it."} onRetry={onRetry} />
      <div className={styles.line}>
        {isDeleted && (
          <>
            <ActionButton
              appearance="primary"
              icon={recovering.isPending ? <Spinner size="tiny" /> : <HistoryRegular />}
              method="RecoverVaultSecret"
              resource={`vaultSecrets/${id}`}
              unless={recovering.isPending ? "It is being recovered." : undefined}
              onClick={() => recovering.mutate({ revision: id })}
            >
              Recover it
            </ActionButton>
            <RecoverCommands id={id} />
          </>
        )}
        <Link to="/vault" search={{ search: id }}>
          Look for the name in the vault
        </Link>
      </div>
      {recovering.error !== null && <Problem error={recovering.error} />}
      <ReferrersOfAbsent id={id} />
    </>
  );
}

/** Whether it is gone, but can be recovered. */
function isOfDeleted(error: unknown): boolean {
  return error instanceof SecretServiceError && /^VAULT_SECRET_(SOFT_)?DELETED$/.test(error.reason);
}

/** Who still refers to what isn't there. */
function ReferrersOfAbsent({ id }: { id: string }): ReactNode {
  const referrers = useReferrers(id);
  return referrers.length === 0 ? null : <Referrers referrers={referrers} />;
}

function useReferrers(id: string): readonly Referrer[] {
  const { secrets } = useLiveSecrets();
  return useMemo(() => referrersOf(`vaultSecrets/${id}`, secrets), [id, secrets]);
}

/** Those that the service names, and that aren't seen to refer to it. It is asked again when others refer to it than before. */
function useUnseen(secret: VaultSecretMessage, referrers: readonly Referrer[], lookAgain: () => void): readonly string[] {
  const live = useLiveSecrets();
  const seen = [...new Set(referrers.map((referrer) => referrer.id))].join(" ");
  const before = useRef(seen);
  const again = useEffectEvent(lookAgain);
  useEffect(() => {
    if (before.current !== seen) {
      before.current = seen;
      again();
    }
  }, [seen]);
  return useMemo(() => unseenOf(secret, referrers, live), [secret, referrers, live]);
}

/** With the version as it was when somebody chose it: which one is the latest may be another by the time they have decided. */
type Open = { readonly what: "version" } | { readonly what: VersionAction; readonly version: VaultSecretVersion };

interface SecretProps {
  readonly id: string;
  readonly secret: VaultSecretMessage;
  readonly error: unknown;
  readonly onRetry: () => void;
}

function Secret({ id, secret, error, onRetry }: SecretProps): ReactNode {
  const versions = useVaultSecretVersions(id);
  const referrers = useReferrers(id);
  const unseen = useUnseen(secret, referrers, onRetry);
  const [open, setOpen] = useState<Open>();
  const listed = newestFirst(versions.data?.pages.flatMap((page) => page.versions) ?? []);
  const latest = latestOf(listed, secret);
  const latestVersion = listed.find(({ name }) => name.endsWith(`/${latest}`));
  return (
    <Page
      title={id}
      subtitle="Vault secret"
      actions={
        <Actions
          id={id}
          secret={secret}
          latest={latestVersion}
          onVersion={() => setOpen({ what: "version" })}
          onChange={(version) => setOpen({ what: "change", version })}
        />
      }
    >
      {error !== null && <VaultProblem error={error} title="It can’t be read again; this is as it was before." onRetry={onRetry} />}
      <Attributes secret={secret} />
      <Referrers referrers={referrers} unseen={unseen} latest={latest} />
      <Versions
        query={versions}
        versions={listed}
        latest={latest}
        referrers={referrers}
        managed={secret.managed ? MANAGED : undefined}
        id={id}
        onAction={(what, version) => setOpen({ what, version })}
      />
      <Certificates referrers={referrers} />
      {open?.what === "version" && <NewVersion id={id} secret={secret} onClose={() => setOpen(undefined)} />}
      {open?.what === "change" && (
        <ChangeDialog id={id} version={open.version} standing={standingOf(idOf(open.version.name), latest)} onClose={() => setOpen(undefined)} />
      )}
      {open?.what === "enable" && (
        <EnableDialog
          id={id}
          version={open.version}
          standing={standingOf(idOf(open.version.name), latest)}
          referrers={referrers}
          unseen={unseen}
          onClose={() => setOpen(undefined)}
        />
      )}
    </Page>
  );
}

interface ActionsProps {
  readonly id: string;
  readonly secret: VaultSecretMessage;
  /** Its latest version, as far as that can be told. */
  readonly latest: VaultSecretVersion | undefined;
  readonly onVersion: () => void;
  readonly onChange: (version: VaultSecretVersion) => void;
}

function Actions({ id, secret, latest, onVersion, onChange }: ActionsProps): ReactNode {
  const unless = secret.managed ? MANAGED : undefined;
  return (
    <>
      <LinkButton to="/new" search={{ vaultSecret: [id] }} appearance="primary" icon={<ArrowSyncRegular />}>
        Sync it
      </LinkButton>
      <ActionButton icon={<AddRegular />} method="AddVaultSecretVersion" resource={secret.name} unless={unless} onClick={onVersion}>
        New version
      </ActionButton>
      <ActionButton
        icon={<EditRegular />}
        method="UpdateVaultSecret"
        resource={secret.name}
        unless={unless ?? (latest === undefined ? "Which version is the latest can’t be told yet: change one in the list below." : undefined)}
        onClick={() => latest && onChange(latest)}
      >
        Change attributes
      </ActionButton>
      <CommandsButton
        method={SecretService.method.getVaultSecret}
        request={{ name: secret.name }}
        words={["vault", "list", "--contains", id]}
        note="The CLI lists what has the name or contains it."
      />
    </>
  );
}

function Attributes({ secret }: { secret: VaultSecretMessage }): ReactNode {
  const styles = useStyles();
  const validity = validityOf(secret);
  const tags = linesOfTags(secret.tags);
  const type = wordsOfContentType(secret.contentType, secret.managed);
  return (
    <Section title="Attributes">
      {secret.managed && (
        <MessageBar intent="info" layout="multiline">
          <MessageBarBody>
            <MessageBarTitle>Part of a certificate.</MessageBarTitle> {MANAGED}
          </MessageBarBody>
        </MessageBar>
      )}
      <Facts
        facts={[
          ["Name", <CopyText key="name" text={secret.name.replace(/^vaultSecrets\//, "")} label="Copy the name" />],
          ["State of the latest version", validity.kind === "valid" ? "Enabled" : <ValidityBadge key="state" validity={validity} />],
          ["Content type", secret.contentType === type ? type : `${type} · ${secret.contentType}`],
          ["Encoding", wordsOfEncoding(secret.encoding)],
          ["Created", secret.createTime && <Time value={secret.createTime} />],
          ["Updated", secret.updateTime && <Time value={secret.updateTime} />],
          ["Activation date", secret.notBeforeTime ? <Time value={secret.notBeforeTime} /> : "None: it is valid from the beginning"],
          ["Expiration date", secret.expireTime ? <Time value={secret.expireTime} /> : "None: it doesn’t expire"],
          [
            "Tags",
            tags.length > 0 && (
              <ul className={styles.list}>
                {tags.map((tag) => (
                  <li key={tag}>{tag}</li>
                ))}
              </ul>
            ),
          ],
        ]}
      />
    </Section>
  );
}

/** What the edge told of certificates in it: one for each version and part that somebody has. */
function Certificates({ referrers }: { referrers: readonly Referrer[] }): ReactNode {
  const found = referrers.flatMap(({ secret, key, id }) => {
    const certificate = secret.references.find((reference) => reference.key === key)?.certificate;
    return certificate === undefined ? [] : [{ certificate, where: `${id}/${key}` }];
  });
  // Many keys may have the same one.
  const unique = new Map(found.map(({ certificate, where }) => [certificate.sha256Thumbprint, { certificate, where }]));
  return unique.size === 0 ? null : (
    <Section title="Certificate">
      {[...unique].map(([thumbprint, { certificate, where }]) => (
        <CertificateFacts key={thumbprint} facts={certificate} more={[["Seen at the edge in", where]]} />
      ))}
      <Text>This is what the edge has. The service reads certificates there, not in the vault.</Text>
    </Section>
  );
}
