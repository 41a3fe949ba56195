/** What went wrong, why, and what to do: for a whole screen or a part of one. */
import { InUseError, SecretServiceError } from "@iotoperations/secret-service-client";
import {
  Button,
  makeStyles,
  MessageBar,
  MessageBarActions,
  MessageBarBody,
  MessageBarTitle,
  Text,
  tokens,
} from "@fluentui/react-components";
import type { ReactNode } from "react";

const useStyles = makeStyles({
  body: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalS },
  details: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
  code: { fontFamily: tokens.fontFamilyMonospace, color: tokens.colorNeutralForeground3, display: "block" },
});

/** An error, in the service's words. */
export function Problem({ error, title, onRetry }: { error: unknown; title?: string; onRetry?: () => void }): ReactNode {
  const styles = useStyles();
  const found = error instanceof SecretServiceError ? error : undefined;
  return (
    <MessageBar intent="error" layout="multiline" role="alert">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>{title ?? titleOf(error)}</MessageBarTitle> <span>{messageOf(error)}</span>
        {found !== undefined && <Details error={found} />}
        {found?.requestId !== undefined && found.requestId !== "" && (
          <Text size={200} className={styles.code}>
            {found.reason} · request {found.requestId}
          </Text>
        )}
      </MessageBarBody>
      {onRetry !== undefined && (
        <MessageBarActions>
          <Button onClick={onRetry}>Try again</Button>
        </MessageBarActions>
      )}
    </MessageBar>
  );
}

/** The fields and the users that an error is about. */
function Details({ error }: { error: SecretServiceError }): ReactNode {
  const styles = useStyles();
  const lines =
    error instanceof InUseError
      ? error.usages.map(({ subject, description }) => `${subject}: ${description}`)
      : error.fieldViolations.length > 1
        ? error.fieldViolations.map(({ field, description }) => `${field}: ${description}`)
        : [];
  return lines.length === 0 ? null : (
    <ul className={styles.details}>
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

/** A few words for an error. */
export function titleOf(error: unknown): string {
  const { name } = error instanceof Error ? error : { name: "" };
  const { reason } = error instanceof SecretServiceError ? error : { reason: "" };
  return TITLES[reason] ?? TITLES[name] ?? "It didn't work.";
}

/** What an error says. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) {
    return error.message;
  }
  return typeof error === "string" ? error : "Nothing says why.";
}

const TITLES: Readonly<Record<string, string>> = {
  InvalidRequestError: "Something in it is not right.",
  NotFoundError: "It isn't there.",
  AlreadyExistsError: "The name is taken.",
  InUseError: "Something uses it.",
  FailedPreconditionError: "Something stands in the way.",
  StaleError: "Somebody else changed it meanwhile.",
  AbortedError: "Somebody else was first.",
  REQUEST_IN_PROGRESS: "It is still being done.",
  VaultThrottledError: "The vault takes no more calls for a while.",
  VaultUnavailableError: "The vault can't be reached.",
  EdgeUnavailableError: "The cluster can't be reached.",
  ServiceUnreachableError: "The service can't be reached.",
  PermissionDeniedError: "You may not do this.",
  UnauthenticatedError: "The service doesn't know you.",
  NothingHeardError: "The synced secrets have not come yet.",
  DeadlineExceededError: "It takes too long.",
  UnimplementedError: "This service is older than the page.",
};
