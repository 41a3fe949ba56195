/** How a reference takes a vault secret: the latest or a pinned version, a part of a certificate, decoded or not. */
import { Encoding, idOf, Part } from "@iotoperations/secret-service-client";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Field, makeStyles, Select, Text, tokens } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

import { useLiveSecrets, useVaultSecretVersions } from "../api/hooks";
import { usePreferences } from "../app/preferences";
import { messageOf } from "../ui/problem";
import { absolute } from "../ui/time";
import { chosen } from "./choice";
import { ENCODINGS, factsOf, mayHoldCertificate, PARTS, validityOf, type VaultPick } from "./vault-pick";

const useStyles = makeStyles({
  options: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fit, minmax(min(14rem, 100%), 1fr))",
    gap: tokens.spacingHorizontalM,
    // A select is as wide as its longest choice, unless somebody says otherwise.
    "& > *, & select": { minWidth: 0 },
  },
  facts: { color: tokens.colorNeutralForeground3, overflowWrap: "anywhere" },
});

interface PickOptionsProps {
  readonly pick: VaultPick;
  readonly onChange: (pick: VaultPick) => void;
  /** What else is wrong with it. */
  readonly problem?: string | undefined;
}

export function PickOptions({ pick, onChange, problem }: PickOptionsProps): ReactNode {
  const styles = useStyles();
  const name = idOf(pick.vaultSecret);
  return (
    <>
      <div className={styles.options}>
        <VersionSelect pick={pick} onChange={onChange} problem={problem} />
        {(mayHoldCertificate(pick) || pick.part !== Part.UNSPECIFIED) && (
          <Field label="Part" hint="Of a certificate">
            <Select
              aria-label={`Part of ${name}`}
              value={pick.part}
              onChange={(_, { value }) => onChange({ ...pick, part: chosen(PARTS, value) ?? Part.UNSPECIFIED })}
            >
              {PARTS.map(([part, words]) => (
                <option key={part} value={part}>
                  {words}
                </option>
              ))}
            </Select>
          </Field>
        )}
        <Field label="Encoding" hint="Of the value in the vault">
          <Select
            aria-label={`Encoding of ${name}`}
            value={pick.encoding}
            onChange={(_, { value }) => onChange({ ...pick, encoding: chosen(ENCODINGS, value) ?? Encoding.UNSPECIFIED })}
          >
            {ENCODINGS.map(([encoding, words]) => (
              <option key={encoding} value={encoding}>
                {words}
              </option>
            ))}
          </Select>
        </Field>
      </div>
      <EdgeFacts vaultSecret={pick.vaultSecret} />
    </>
  );
}

/** The versions are asked for once somebody opens the list, or has one pinned. */
function VersionSelect({ pick, onChange, problem }: PickOptionsProps): ReactNode {
  const { timeZone } = usePreferences();
  const [wanted, setWanted] = useState(pick.version !== "");
  const id = idOf(pick.vaultSecret);
  const { data, error, isFetching, hasNextPage, fetchNextPage, refetch } = useVaultSecretVersions(id, wanted);
  const versions = data?.pages.flatMap((page) => page.versions) ?? [];
  const isListed = pick.version === "" || versions.some(({ name }) => idOf(name) === pick.version);
  const message = problem ?? (error === null ? undefined : messageOf(error));
  return (
    <Field
      label="Version"
      hint={isFetching ? "Loading the versions…" : pick.version === "" ? "Follows new versions" : "Pinned: new versions are not synced"}
      {...(message !== undefined && { validationMessage: message })}
    >
      <Select
        aria-label={`Version of ${id}`}
        value={pick.version}
        onFocus={() => {
          setWanted(true);
          // Where they could not be had, whoever comes back to the list asks once more.
          if (error !== null) {
            void refetch();
          }
        }}
        onPointerEnter={() => setWanted(true)}
        onChange={(_, { value }) => (value === MORE ? void fetchNextPage() : onChange({ ...pick, version: value }))}
      >
        <option value="">Latest</option>
        {!isListed && <option value={pick.version}>{pick.version}</option>}
        {versions.map((version) => (
          <option key={version.name} value={idOf(version.name)}>
            {version.createTime === undefined ? "" : `${absolute(timestampDate(version.createTime), timeZone)} · `}
            {idOf(version.name).slice(0, 8)}
            {MARKS[validityOf(version)] ?? ""}
          </option>
        ))}
        {hasNextPage && <option value={MORE}>Older ones…</option>}
      </Select>
    </Field>
  );
}

const MORE = "more";
const MARKS: Readonly<Record<string, string>> = { disabled: " · disabled", expired: " · expired", "not-yet": " · not valid yet", soon: " · expires soon" };

/** What the edge says of the certificate in it, where some synced secret has it. */
function EdgeFacts({ vaultSecret }: { vaultSecret: string }): ReactNode {
  const styles = useStyles();
  const { secrets } = useLiveSecrets();
  const { timeZone } = usePreferences();
  const found = factsOf(vaultSecret, secrets);
  if (found === undefined) {
    return null;
  }
  const { facts, syncedSecret, version } = found;
  const ends = facts.expireTime === undefined ? "" : `, until ${absolute(timestampDate(facts.expireTime), timeZone)}`;
  return (
    <Text size={200} className={styles.facts}>
      {facts.revocationList ? `Revocation list of ${facts.issuer}` : `${facts.subject}, issued by ${facts.issuer}`}
      {ends}. SHA-1 {facts.sha1Thumbprint}. As {idOf(syncedSecret)} has it at the edge, from version {version.slice(0, 8)}.
    </Text>
  );
}
