/** In words, where the value of a key will come from. */
import { idOf, Part } from "@iotoperations/secret-service-client";
import { makeStyles, Text, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

import { usePreferences } from "../app/preferences";
import { absolute } from "../ui/time";
import { count } from "../ui/words";
import type { Source } from "./draft-reference";
import { wordsOfKind } from "./file-kind";
import { wordsOfEncoding } from "./names";
import { wordsOfPart } from "./vault-pick";

const useStyles = makeStyles({
  source: { display: "flex", flexDirection: "column", minWidth: 0, overflowWrap: "anywhere" },
  muted: { color: tokens.colorNeutralForeground3 },
});

export function SourceText({ source }: { source: Source }): ReactNode {
  const styles = useStyles();
  const { timeZone } = usePreferences();
  const isNew = source.kind === "new";
  const details = isNew
    ? [
        count(source.draft.size, "byte"),
        source.draft.kind === "text" ? "" : wordsOfKind(source.draft.kind),
        source.draft.fileName ?? "",
        source.draft.notBeforeTime && `from ${absolute(source.draft.notBeforeTime, timeZone)}`,
        source.draft.expireTime && `until ${absolute(source.draft.expireTime, timeZone)}`,
      ]
    : [
        source.pick.version === "" ? "always the latest version" : `version ${source.pick.version}, pinned`,
        source.pick.part === Part.UNSPECIFIED ? "" : wordsOfPart(source.pick.part),
        wordsOfEncoding(source.pick.encoding),
      ];
  return (
    <span className={styles.source}>
      <Text>
        {isNew ? "New in Azure Key Vault: " : "From Azure Key Vault: "}
        <Text weight="semibold">{isNew ? source.draft.vaultSecret : idOf(source.pick.vaultSecret)}</Text>
      </Text>
      <Text size={200} className={styles.muted}>
        {details.filter(Boolean).join(" · ")}
      </Text>
    </span>
  );
}
