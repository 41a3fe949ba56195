/** Where nothing is synced yet: the three ways to begin. */
import { makeStyles, Subtitle2, Text, tokens } from "@fluentui/react-components";
import { AddCircleRegular, KeyMultipleRegular, PlugConnectedRegular } from "@fluentui/react-icons";
import { useNavigate } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";

import { usePermission } from "../../api/hooks";
import { LinkButton } from "../../app/navigation";
import { ActionButton } from "../../ui/action";
import { Section } from "../../ui/page";
import { count } from "../../ui/words";

const useStyles = makeStyles({
  ways: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fit, minmax(min(16rem, 100%), 1fr))",
    gap: tokens.spacingHorizontalL,
    margin: 0,
    padding: 0,
    listStyleType: "none",
  },
  way: {
    display: "flex",
    flexDirection: "column",
    alignItems: "flex-start",
    gap: tokens.spacingVerticalS,
    padding: tokens.spacingHorizontalL,
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
    "& > svg": { fontSize: "32px", color: tokens.colorBrandForeground1 },
  },
  text: { flexGrow: 1, color: tokens.colorNeutralForeground2 },
});

/** `found` is how many Secrets of another tool were seen at the edge. */
export function Start({ found }: { found: number }): ReactNode {
  const navigate = useNavigate();
  const { allowed, why } = usePermission("CreateSyncedSecret");
  return (
    <Section title="Nothing is synced by this service yet">
      <ul className={useStyles().ways}>
        <Way
          icon={<AddCircleRegular aria-hidden />}
          title="Create new"
          action={
            allowed ? (
              <LinkButton to="/new" appearance="primary">
                Create new
              </LinkButton>
            ) : (
              <ActionButton appearance="primary" unless={why} onClick={() => void navigate({ to: "/new" })}>
                Create new
              </ActionButton>
            )
          }
        >
          Type a value, or upload a certificate. The service stores it in the Key Vault and keeps it at the edge, where your endpoints name
          it: <code>edp1secrets/username</code>.
        </Way>
        <Way
          icon={<KeyMultipleRegular aria-hidden />}
          title="Add from Azure Key Vault"
          action={
            <LinkButton to="/vault" search={{ unsynced: true }}>
              Add from Azure Key Vault
            </LinkButton>
          }
        >
          The Key Vault has the secret already. Choose it from those that are not synced yet: the edge follows its latest version, or the one
          that you pin.
        </Way>
        <Way
          icon={<PlugConnectedRegular aria-hidden />}
          title="Adopt what is there"
          action={
            found > 0 ? (
              <LinkButton to="/secrets" search={{ origin: "unmanaged" }}>
                Look at what is there
              </LinkButton>
            ) : (
              <ActionButton unless="Nothing of another tool was found at the edge.">Look at what is there</ActionButton>
            )
          }
        >
          {found > 0
            ? `Another tool made ${count(found, "Secret")} at the edge. Adopt one, and the service keeps it in sync from then on.`
            : "Secrets that another tool made at the edge can be adopted, so that the service keeps them in sync. None was found."}
        </Way>
      </ul>
    </Section>
  );
}

interface WayProps {
  readonly icon: ReactElement;
  readonly title: string;
  readonly action: ReactNode;
  readonly children: ReactNode;
}

function Way({ icon, title, action, children }: WayProps): ReactNode {
  const styles = useStyles();
  return (
    <li className={styles.way}>
      {icon}
      <Subtitle2 as="h3">{title}</Subtitle2>
      <Text className={styles.text}>{children}</Text>
      {action}
    </li>
  );
}
