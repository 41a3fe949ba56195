/** What can be done with what is selected. */
import { idOf, Origin, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { Button, makeStyles, Text, tokens } from "@fluentui/react-components";
import { ArrowSyncRegular, DeleteRegular, DismissRegular } from "@fluentui/react-icons";
import { useState, type ReactNode } from "react";

import { DeleteDialog } from "../../references/delete-dialog";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { SyncDialog, useSyncMany } from "./sync-dialog";
import { grouped } from "../../ui/words";

const UNMANAGED = "Another tool made what is selected: adopt it first, or use that tool.";

const useStyles = makeStyles({
  bar: {
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: tokens.spacingHorizontalS,
    padding: `${tokens.spacingVerticalXS} ${tokens.spacingHorizontalM}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1Selected,
  },
  text: { flexGrow: 1 },
});

interface SelectionBarProps {
  readonly selected: readonly SyncedSecret[];
  /** How many of them the filters hide. */
  readonly hidden: number;
  /** Keeps only these names selected. */
  readonly onSelect: (names: readonly string[]) => void;
}

/** The bar is there while something is selected; what was begun from it stays until it is over. */
export function SelectionBar({ selected, hidden, onSelect }: SelectionBarProps): ReactNode {
  const sync = useSyncMany();
  const [deleting, setDeleting] = useState<readonly SyncedSecret[] | undefined>(undefined);
  const syncable = selected.filter(({ origin, state }) => origin !== Origin.UNMANAGED && state !== State.DELETING);
  const [skipped, setSkipped] = useState(0);
  const begin = (): void => {
    setSkipped(selected.length - syncable.length);
    sync.run(syncable.map(({ name }) => name));
  };
  const deleted = (names: readonly string[]): void => {
    setDeleting(undefined);
    onSelect(selected.map(({ name }) => name).filter((name) => !names.includes(name)));
  };
  return (
    <>
      {selected.length > 0 && (
        <Bar {...{ selected, syncable, hidden }} onSync={begin} onDelete={() => setDeleting(selected)} onClear={() => onSelect([])} />
      )}
      {sync.outcomes.size > 0 && <SyncDialog sync={sync} skipped={skipped} />}
      {deleting !== undefined && <DeleteDialog secrets={deleting} onClose={() => setDeleting(undefined)} onDone={deleted} />}
    </>
  );
}

interface BarProps extends Pick<SelectionBarProps, "selected" | "hidden"> {
  readonly syncable: readonly SyncedSecret[];
  readonly onSync: () => void;
  readonly onDelete: () => void;
  readonly onClear: () => void;
}

function Bar({ selected, syncable, hidden, onSync, onDelete, onClear }: BarProps): ReactNode {
  const styles = useStyles();
  const foreign = selected.filter(({ origin }) => origin === Origin.UNMANAGED).length;
  const resource = selected.length === 1 ? (selected[0]?.name ?? "") : "";
  const unless = foreign === selected.length ? UNMANAGED : undefined;
  return (
    <div className={styles.bar} role="group" aria-label="What is selected">
      <Text className={styles.text} role="status">
        <strong>{grouped(selected.length)} selected</strong>
        {hidden > 0 && `, ${grouped(hidden)} of them hidden by the filters`}
        {foreign > 0 && `, ${grouped(foreign)} made by another tool`}
      </Text>
      <ActionButton
        method="SyncSyncedSecret"
        resource={resource}
        icon={<ArrowSyncRegular />}
        unless={unless ?? (syncable.length === 0 ? "All of them are being deleted." : undefined)}
        onClick={onSync}
      >
        Sync now
      </ActionButton>
      <ActionButton method="DeleteSyncedSecret" resource={resource} icon={<DeleteRegular />} unless={unless} onClick={onDelete}>
        Delete
      </ActionButton>
      <SyncCommands secrets={syncable} />
      <Button appearance="subtle" icon={<DismissRegular />} onClick={onClear}>
        Clear selection
      </Button>
    </div>
  );
}

function SyncCommands({ secrets }: { secrets: readonly SyncedSecret[] }): ReactNode {
  const [first] = secrets;
  return first === undefined ? null : (
    <CommandsButton
      method={SecretService.method.syncSyncedSecret}
      request={{ name: first.name }}
      words={["secrets", "sync", ...secrets.map(({ name }) => idOf(name))]}
      {...(secrets.length > 1 && { note: "grpcurl takes one call for each: the line is that of the first." })}
    />
  );
}
