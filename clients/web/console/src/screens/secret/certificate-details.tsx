/** What the certificate or the revocation list under a key says of itself. */
import type { CertificateFacts } from "@iotoperations/secret-service-client";
import { Badge, makeStyles, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { Facts } from "../../ui/facts";
import { Time } from "../../ui/time";
import { count } from "../../ui/words";

const useStyles = makeStyles({
  box: {
    display: "flex",
    flexDirection: "column",
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalM,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground2,
  },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: "anywhere" },
});

export function CertificateDetails({ facts }: { facts: CertificateFacts }): ReactNode {
  const styles = useStyles();
  const { revocationList, keyMatches, certificateCount, subjectAlternativeNames } = facts;
  return (
    <div className={styles.box} role="group" aria-label={revocationList ? "Revocation list" : "Certificate"}>
      <Text weight="semibold">{revocationList ? "Revocation list at the edge" : "Certificate at the edge"}</Text>
      <Facts
        facts={[
          ["Subject", facts.subject],
          ["Issuer", facts.issuer],
          ["Other names", subjectAlternativeNames.join(", ")],
          [revocationList ? "Issued" : "Valid from", facts.notBeforeTime && <Time value={facts.notBeforeTime} />],
          [revocationList ? "Next one due" : "Valid until", facts.expireTime && <Time value={facts.expireTime} />],
          ["SHA-1", facts.sha1Thumbprint !== "" && <span className={styles.code}>{facts.sha1Thumbprint}</span>],
          ["SHA-256", facts.sha256Thumbprint !== "" && <span className={styles.code}>{facts.sha256Thumbprint}</span>],
          ["May issue", !revocationList && (facts.isCa ? "certificates (it is of an authority)" : "nothing")],
          ["Chain", certificateCount > 1 && `${count(certificateCount, "certificate")}; this is the first`],
          ["Private key", keyMatches !== undefined && <KeyMatches matches={keyMatches} />],
        ]}
      />
    </div>
  );
}

function KeyMatches({ matches }: { matches: boolean }): ReactNode {
  return (
    <Badge appearance="tint" color={matches ? "success" : "danger"} icon={matches ? <CheckmarkCircleRegular /> : <ErrorCircleRegular />}>
      {matches ? "Belongs to it" : "Is of another certificate"}
    </Badge>
  );
}
