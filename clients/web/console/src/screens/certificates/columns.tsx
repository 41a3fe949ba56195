/** The columns of the entries. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { idOf } from "@iotoperations/secret-service-client";
import {
  Badge,
  Button,
  Link as TextLink,
  makeStyles,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  tokens,
} from "@fluentui/react-components";
import { ArrowSwapRegular, DeleteRegular, DocumentSearchRegular, MoreHorizontalRegular, WarningRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { Link } from "../../app/navigation";
import type { Column } from "../../ui/table";
import { Time } from "../../ui/time";
import { ValidityBadge } from "../../ui/validity-badge";
import { wordsOfKind } from "./list-field";
import { endOf, validityOfEntry, type Entry } from "./lists";

/** What can be done with an entry. */
export type EntryAction = "details" | "replace" | "remove";
export type OnAction = (action: EntryAction, entry: Entry) => void;

const useStyles = makeStyles({
  // In two lines where it is narrow: a row has room for them.
  until: { display: "flex", flexWrap: "wrap", alignItems: "center", columnGap: tokens.spacingHorizontalS },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  muted: { color: tokens.colorNeutralForeground3 },
});

/** They say with what there is: where facts weren't read, that is said. */
export function columnsOf(onAction: OnAction): readonly Column<Entry>[] {
  return [
    {
      id: "key",
      title: "Entry",
      width: "minmax(7rem, 1.3fr)",
      sortBy: ({ reference }) => reference.key,
      cell: (entry) => (
        <TextLink as="button" title={entry.reference.key} onClick={() => onAction("details", entry)}>
          {entry.reference.key}
        </TextLink>
      ),
    },
    {
      id: "list",
      title: "List",
      width: "minmax(8rem, 2fr)",
      from: 700,
      sortBy: ({ list }) => list.id,
      cell: ({ list }) => (
        <Link to="/secrets/$id" params={{ id: list.id }} title={`${wordsOfKind(list.kind)}: ${list.id}`}>
          {list.id}
        </Link>
      ),
    },
    { id: "subject", title: "Subject", width: "minmax(8rem, 1.5fr)", from: 480, sortBy: (entry) => subjectOf(entry), cell: (entry) => <Subject entry={entry} /> },
    {
      id: "issuer",
      title: "Issuer",
      width: "minmax(8rem, 1.2fr)",
      from: 1_250,
      sortBy: ({ reference }) => reference.certificate?.issuer,
      cell: ({ reference: { certificate } }) => <span title={certificate?.issuer}>{certificate?.issuer}</span>,
    },
    {
      id: "until",
      title: "Valid until",
      width: "minmax(7.5rem, 15.5rem)",
      sortBy: ({ reference }) => {
        const end = endOf(reference);
        return end && timestampMs(end);
      },
      cell: (entry) => <Until entry={entry} />,
    },
    {
      id: "thumbprint",
      title: "SHA-1 thumbprint",
      width: "minmax(8rem, 21rem)",
      from: 1_450,
      cell: ({ reference: { certificate } }) => <Thumbprint text={certificate?.sha1Thumbprint ?? ""} />,
    },
    {
      id: "vaultSecret",
      title: "Vault secret",
      width: "minmax(8rem, 2fr)",
      from: 900,
      sortBy: ({ reference }) => reference.vaultSecret,
      cell: ({ reference: { vaultSecret } }) => (
        <Link to="/vault/$id" params={{ id: idOf(vaultSecret) }} title={idOf(vaultSecret)}>
          {idOf(vaultSecret)}
        </Link>
      ),
    },
    // What is narrow has them in the details.
    { id: "actions", title: "Actions", width: "3.5rem", from: 400, cell: (entry) => <Actions entry={entry} onAction={onAction} /> },
  ];
}

/** What an entry is about, for sorting: of a revocation list, who made it. */
function subjectOf({ reference: { certificate } }: Entry): string | undefined {
  return certificate?.revocationList === true ? certificate.issuer : certificate?.subject;
}

function Subject({ entry }: { entry: Entry }): ReactNode {
  const styles = useStyles();
  const { certificate, problem, syncedVersion } = entry.reference;
  if (problem !== undefined) {
    return (
      <Badge appearance="tint" color="warning" icon={<WarningRegular />} title={problem.message}>
        {problem.reason}
      </Badge>
    );
  }
  if (certificate === undefined) {
    return <span className={styles.muted}>{syncedVersion === "" ? "Not at the edge yet" : "Not read"}</span>;
  }
  if (certificate.revocationList) {
    return <span title={certificate.issuer}>Revocation list of {certificate.issuer}</span>;
  }
  return <span title={certificate.subject}>{certificate.subject || "Without a name"}</span>;
}

function Until({ entry }: { entry: Entry }): ReactNode {
  return (
    <span className={useStyles().until}>
      <Time value={endOf(entry.reference)} />
      <ValidityBadge validity={validityOfEntry(entry)} />
    </span>
  );
}

function Thumbprint({ text }: { text: string }): ReactNode {
  return (
    <span className={useStyles().code} title={text}>
      {text}
    </span>
  );
}

function Actions({ entry, onAction }: { entry: Entry; onAction: OnAction }): ReactNode {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button
          appearance="subtle"
          icon={<MoreHorizontalRegular />}
          aria-label={`Actions for ${entry.reference.key} of ${entry.list.id}`}
        />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuItem icon={<DocumentSearchRegular />} onClick={() => onAction("details", entry)}>
            Details
          </MenuItem>
          <MenuItem icon={<ArrowSwapRegular />} onClick={() => onAction("replace", entry)}>
            Replace…
          </MenuItem>
          <MenuItem icon={<DeleteRegular />} onClick={() => onAction("remove", entry)}>
            Remove…
          </MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
