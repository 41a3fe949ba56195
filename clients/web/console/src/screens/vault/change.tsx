/** Dates, content type and tags of a version; its value stays. */
import { Field, Input, Spinner, Text, Textarea } from "@fluentui/react-components";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { idOf, type VaultSecret, type VaultSecretVersion } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { useState, type ReactNode } from "react";

import { useChange } from "../../api/change";
import { useClient } from "../../api/connection";
import { usePreferences } from "../../app/preferences";
import { DateField } from "../../references/date-field";
import { checkedDates } from "../../references/instants";
import { tagsOf } from "../../references/secret-draft";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { CloseButton, Dialog } from "../../ui/dialog";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";
import { attributesOf, changesOf, flagsOf, pathsOf, type Attributes } from "./changes";
import { linesOfTags } from "./tags";

const DAY_MS = 86_400_000;

/** As it is entered; `null`: a date that is switched on, and not entered yet. */
type Entered = Omit<Attributes, "notBeforeTime" | "expireTime"> & {
  readonly notBeforeTime: Date | null | undefined;
  readonly expireTime: Date | null | undefined;
};

interface ChangeProps {
  readonly id: string;
  readonly secret: VaultSecret;
  /** The latest one where left out. */
  readonly version: VaultSecretVersion | undefined;
  readonly isLatest: boolean;
  readonly onClose: () => void;
}

export function ChangeDialog({ id, secret, version: chosen, isLatest, onClose }: ChangeProps): ReactNode {
  const form = useForm({ id, secret, version: chosen, isLatest, onClose });
  const { changing, changes, version } = form;
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={changing.isPending}
      title={`Change ${isLatest ? "the latest version" : "a version"} of ${id}`}
      actions={
        <>
          {form.problem === undefined && (
            <CommandsButton
              method={SecretService.method.updateVaultSecret}
              request={requestOf(secret.name, version, changes)}
              words={["vault", "update", id, ...(version === "" ? [] : ["--version", version]), ...flagsOf(chosen ?? secret, changes)]}
            />
          )}
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="UpdateVaultSecret"
            resource={secret.name}
            unless={changing.isPending ? "It is being changed." : form.problem}
            icon={changing.isPending ? <Spinner size="tiny" /> : null}
            onClick={() => changing.mutate({ changes, revision: JSON.stringify(changes) })}
          >
            Save
          </ActionButton>
        </>
      }
    >
      {version !== "" && <Text>Version {version}. Its value stays.</Text>}
      <Fields form={form} />
      {changing.error !== null && <Problem error={changing.error} />}
    </Dialog>
  );
}

function useForm({ id, secret, version: chosen, onClose }: ChangeProps) {
  const client = useClient();
  const notify = useNotify();
  // As it was when the dialog opened: what is another then is what somebody changed here.
  const [held] = useState(chosen ?? secret);
  const [fields, setFields] = useState<Entered>(() => attributesOf(held));
  const [tagLines, setTagLines] = useState(() => linesOfTags(held.tags).join("\n"));
  const version = chosen === undefined ? "" : idOf(chosen.name);
  const { tags, problem: tagProblem } = tagsOf(tagLines);
  const [notBeforeTime, expireTime] = [fields.notBeforeTime ?? undefined, fields.expireTime ?? undefined];
  const changes = changesOf(held, { ...fields, notBeforeTime, expireTime, tags });
  const dates = checkedDates(notBeforeTime, expireTime);
  const changing = useChange(
    (input: { changes: Partial<Attributes>; revision: string }, requestId) =>
      client.updateVaultSecret(secret.name, input.changes, { version, requestId }),
    {
      onDone: () => {
        notify.done(`The attributes of ${id} were changed.`);
        onClose();
      },
    },
  );
  const isGone =
    (held.notBeforeTime !== undefined && fields.notBeforeTime === undefined) || (held.expireTime !== undefined && fields.expireTime === undefined);
  const gone = isGone ? "The vault takes no date away from a version: add a new version without it." : undefined;
  const nothing = pathsOf(changes).length === 0 ? "Nothing is changed yet." : undefined;
  const change = (changed: Partial<Entered>): void => setFields((before) => ({ ...before, ...changed }));
  const undated = fields.notBeforeTime === null || fields.expireTime === null ? "Say when." : undefined;
  return { fields, change, tagLines, setTagLines, tagProblem, dates, gone, changes, changing, version, problem: undated ?? gone ?? dates.error ?? tagProblem ?? nothing };
}

function Fields({ form }: { form: ReturnType<typeof useForm> }): ReactNode {
  const { timeZone } = usePreferences();
  const { fields, change, dates, gone, tagLines, setTagLines, tagProblem } = form;
  return (
    <>
      <DateField
        label="Set activation date"
        name="Activation date"
        zone={timeZone}
        value={fields.notBeforeTime}
        begin={() => new Date()}
        onChange={(notBeforeTime) => change({ notBeforeTime })}
      />
      <DateField
        label="Set expiration date"
        name="Expiration date"
        zone={timeZone}
        value={fields.expireTime}
        begin={() => new Date(Date.now() + 365 * DAY_MS)}
        onChange={(expireTime) => change({ expireTime })}
        error={dates.error}
        warning={dates.warning}
      />
      {gone !== undefined && <Text role="alert">{gone}</Text>}
      <Field label="Content type">
        <Input value={fields.contentType} onChange={(_, { value }) => change({ contentType: value })} />
      </Field>
      <Field label="Tags" hint="One a line, as name=value" {...(tagProblem !== undefined && { validationMessage: tagProblem })}>
        <Textarea rows={3} value={tagLines} onChange={(_, { value }) => setTagLines(value)} />
      </Field>
    </>
  );
}

function requestOf(name: string, version: string, changes: Partial<Attributes>) {
  const { contentType, notBeforeTime, expireTime, tags } = changes;
  return {
    vaultSecret: {
      name,
      ...(contentType !== undefined && { contentType }),
      ...(notBeforeTime && { notBeforeTime: timestampFromDate(notBeforeTime) }),
      ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
      ...(tags && { tags: { ...tags } }),
    },
    updateMask: { paths: pathsOf(changes) },
    version,
  };
}
