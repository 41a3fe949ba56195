/** How far what was asked for is. */
import type { SyncedSecret } from "@iotoperations/secret-service-client";
import { Button, makeStyles, MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle, Spinner, tokens } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons";
import type { ReactNode } from "react";

import { Time } from "../../ui/time";
import { wayOf, type Followed } from "./follow";

const useStyles = makeStyles({
  message: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalS },
});

interface FollowingProps {
  readonly secret: SyncedSecret;
  /** When it was read, in milliseconds since 1970. */
  readonly lookedAt: number;
  readonly followed: Followed;
  readonly onDismiss: () => void;
}

export function Following({ secret, lookedAt, followed, onDismiss }: FollowingProps): ReactNode {
  const styles = useStyles();
  const { step, message, secret: said } = wayOf(secret, lookedAt, followed);
  const intent = { going: "info", there: "success", failed: "warning", overtaken: "info" } as const;
  return (
    <MessageBar intent={intent[step]} layout="multiline" role="status" {...(step === "going" && { icon: <Spinner size="tiny" /> })}>
      <MessageBarBody className={styles.message}>
        {step === "going" && (
          <>
            <MessageBarTitle>{followed.what} is accepted, and not at the edge yet.</MessageBarTitle> {message} The service goes on with it,
            also when this page is closed.
          </>
        )}
        {step === "there" && (
          <>
            <MessageBarTitle>{followed.what} is at the edge.</MessageBarTitle> The service says so as of <Time value={said.syncTime} />.
          </>
        )}
        {step === "failed" && (
          <>
            <MessageBarTitle>{followed.what} is accepted, and the attempt to bring it to the edge failed.</MessageBarTitle> {message} The
            service tries again by itself.
          </>
        )}
        {step === "overtaken" && (
          <>
            <MessageBarTitle>{followed.what} was accepted, and overtaken.</MessageBarTitle> {message}
          </>
        )}
      </MessageBarBody>
      <MessageBarActions containerAction={<Button appearance="transparent" icon={<DismissRegular />} aria-label="Dismiss" onClick={onDismiss} />} />
    </MessageBar>
  );
}
