/** What a certificate or a revocation list says of itself. */
import type { CertificateFacts as FactsMessage } from "@iotoperations/secret-service-client";
import { makeStyles, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { CopyText } from "./copy";
import { Facts } from "./facts";
import { Time } from "./time";
import { validityOf } from "./validity";
import { ValidityBadge } from "./validity-badge";

const useStyles = makeStyles({ date: { display: "inline-flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS } });

/** All of it, one fact under the other. */
export function CertificateFacts({ facts, more = [] }: { facts: FactsMessage; more?: readonly (readonly [string, ReactNode])[] }): ReactNode {
  const styles = useStyles();
  const list = facts.revocationList;
  const until = facts.expireTime && (
    <span className={styles.date}>
      <Time value={facts.expireTime} />
      <ValidityBadge validity={validityOf(facts)} />
    </span>
  );
  return (
    <Facts
      facts={[
        ["What it is", kindOfFacts(facts)],
        ["Subject", facts.subject],
        ["Issuer", facts.issuer],
        ["Also known as", facts.subjectAlternativeNames.join(", ")],
        [list ? "Issued" : "Valid from", facts.notBeforeTime && <Time value={facts.notBeforeTime} />],
        [list ? "Next one due" : "Valid until", until],
        ["SHA-1 thumbprint", facts.sha1Thumbprint && <CopyText text={facts.sha1Thumbprint} label="Copy the SHA-1 thumbprint" />],
        ["SHA-256 thumbprint", facts.sha256Thumbprint && <CopyText text={facts.sha256Thumbprint} label="Copy the SHA-256 thumbprint" />],
        ["Private key beside it", keyWords(facts.keyMatches)],
        ["Certificates in it", facts.certificateCount > 1 && `${facts.certificateCount}; what is said here is of the first of the chain`],
        ...more,
      ]}
    />
  );
}

export function kindOfFacts({ revocationList, isCa, issuer, subject }: FactsMessage): string {
  if (revocationList) {
    return "Certificate revocation list";
  }
  const whose = isCa ? "Certificate that may issue others (CA)" : "Certificate";
  return issuer === subject ? `${whose}, self-signed` : whose;
}

function keyWords(matches: boolean | undefined): ReactNode {
  if (matches === undefined) {
    return undefined;
  }
  return matches ? "Belongs to it" : <Text weight="semibold">Does not belong to it: whoever uses both can’t sign in</Text>;
}
