/** A version is switched off or on. */
import { Text } from "@fluentui/react-components";
import { idOf, type VaultSecretVersion } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import type { ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { useLiveSecrets } from "../../api/hooks";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";
import { reachOf, wordsOfReach, type Standing } from "./reach";
import type { Referrer } from "./who";

interface EnableProps {
  readonly id: string;
  readonly version: VaultSecretVersion;
  readonly standing: Standing;
  readonly referrers: readonly Referrer[];
  /** The synced secrets that refer to some version of it, nobody sees which. */
  readonly unseen: readonly string[];
  readonly onClose: () => void;
}

/** Asks first, with what it means for the edge. */
export function EnableDialog({ id, version: chosen, standing, referrers, unseen, onClose }: EnableProps): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const { status } = useLiveSecrets();
  const name = `vaultSecrets/${id}`;
  const version = idOf(chosen.name);
  const enabled = !chosen.enabled;
  const verb = enabled ? "Enable" : "Disable";
  const changing = useChange((_: undefined, requestId) => client.updateVaultSecret(name, { enabled }, { version, requestId }), {
    onDone: () => notify.done(`The version ${version} of ${id} is ${enabled ? "enabled" : "disabled"}.`),
    after: onClose,
  });
  return (
    <Dialog
      onClose={onClose}
      busy={changing.isPending}
      title={`${verb} ${standing === "latest" ? "the latest version" : "a version"} of ${id}?`}
      actions={
        <>
          <CommandsButton
            method={SecretService.method.updateVaultSecret}
            request={{ vaultSecret: { name, enabled }, updateMask: { paths: ["enabled"] }, version }}
            words={["vault", "update", id, "--version", version, enabled ? "--enable" : "--disable"]}
          />
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="UpdateVaultSecret"
            resource={name}
            pending={changing.isPending && "It is being changed."}
            onClick={() => changing.mutate(undefined)}
          >
            {verb}
          </ActionButton>
        </>
      }
    >
      <Text>Version {version}</Text>
      {enabled ? (
        <Text>It can be read again, and what refers to it is synced.</Text>
      ) : (
        <Text>
          A disabled version is no longer read, by nobody. The edge keeps the value that it has; what refers to the version is
          Degraded with the reason VaultSecretDisabled until it is enabled{standing !== "older" && " or there is a new version"}.
        </Text>
      )}
      {wordsOfReach(reachOf(version, standing, referrers, unseen), status).map((words) => (
        <Text key={words}>{words}</Text>
      ))}
      {changing.error !== null && <Problem error={changing.error} />}
    </Dialog>
  );
}
