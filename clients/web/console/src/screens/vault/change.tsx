/** Dates, content type and tags of a version; its value stays. */
import { Field, Input, MessageBar, MessageBarBody, Text, Textarea } from "@fluentui/react-components";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { idOf, type VaultSecretVersion } from "@iotoperations/secret-service-client";
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
import { Frozen } from "../../ui/frozen";
import { useNotify } from "../../ui/notify";
import { Problem } from "../../ui/problem";
import { attributesOf, changesOf, flagsOf, pathsOf, rebased, type Attributes } from "./changes";
import type { Standing } from "./reach";
import { MeanwhileError, saveAttributes, type Wanted } from "./save-attributes";
import { linesOfTags } from "./tags";

const DAY_MS = 86_400_000;

/** As it is entered; `null`: a date that is switched on, and not entered yet. */
type Entered = Omit<Attributes, "notBeforeTime" | "expireTime"> & {
  readonly notBeforeTime: Date | null | undefined;
  readonly expireTime: Date | null | undefined;
};

interface ChangeProps {
  readonly id: string;
  /** As it was when somebody chose it: another one that comes to be the latest is not the one they mean. */
  readonly version: VaultSecretVersion;
  /** Whether it still is the latest. */
  readonly standing: Standing;
  readonly onClose: () => void;
}

export function ChangeDialog({ id, version: chosen, standing, onClose }: ChangeProps): ReactNode {
  const form = useForm(id, chosen, onClose);
  const { changing, held, changes } = form;
  const [name, version] = [`vaultSecrets/${id}`, idOf(chosen.name)];
  const [began] = useState(standing);
  return (
    <Dialog
      onClose={onClose}
      stays
      busy={changing.isPending}
      title={`Change ${standing === "latest" ? "the latest version" : "a version"} of ${id}`}
      actions={
        <>
          {form.problem === undefined && (
            <CommandsButton
              method={SecretService.method.updateVaultSecret}
              request={requestOf(name, version, changes)}
              words={["vault", "update", id, "--version", version, ...flagsOf(held, changes)]}
            />
          )}
          <CloseButton>Cancel</CloseButton>
          <ActionButton
            appearance="primary"
            method="UpdateVaultSecret"
            resource={name}
            pending={changing.isPending && "It is being changed."}
            unless={form.problem}
            onClick={form.save}
          >
            Save
          </ActionButton>
        </>
      }
    >
      <Text>Version {version}. Its value stays.</Text>
      {began === "latest" && standing !== "latest" && (
        <MessageBar intent="warning" layout="multiline" role="alert">
          <MessageBarBody>Somebody added a newer version meanwhile. This still changes the version above, and no other.</MessageBarBody>
        </MessageBar>
      )}
      <Frozen when={changing.isPending}>
        <Fields form={form} />
      </Frozen>
      {changing.error !== null && <Problem error={changing.error} />}
    </Dialog>
  );
}

function useForm(id: string, chosen: VaultSecretVersion, onClose: () => void) {
  const client = useClient();
  const notify = useNotify();
  // As it was when the dialog opened: what is another then is what somebody changed here.
  const [held, setHeld] = useState(chosen);
  const [fields, setFields] = useState<Entered>(() => attributesOf(held));
  const [tagLines, setTagLines] = useState(() => linesOfTags(held.tags).join("\n"));
  const { tags, problem: tagProblem } = tagsOf(tagLines);
  const [notBeforeTime, expireTime] = [fields.notBeforeTime ?? undefined, fields.expireTime ?? undefined];
  const after: Attributes = { contentType: fields.contentType, notBeforeTime, expireTime, tags };
  const changes = changesOf(held, after);
  const changing = useChange(
    async ({ wanted }: { wanted: Wanted; revision: string }, requestId) => {
      try {
        await saveAttributes(client, wanted, requestId);
      } catch (error) {
        if (error instanceof MeanwhileError) {
          const together = rebased(wanted.before, wanted.after, error.now);
          setHeld(error.now);
          setFields(together);
          setTagLines(linesOfTags(together.tags).join("\n"));
        }
        throw error;
      }
    },
    { onDone: () => notify.done(`The attributes of ${id} were changed.`), after: onClose },
  );
  const save = (): void => {
    const wanted = { name: `vaultSecrets/${id}`, before: held, after };
    changing.mutate({ wanted, revision: JSON.stringify([attributesOf(held), after]) });
  };
  const change = (changed: Partial<Entered>): void => setFields((before) => ({ ...before, ...changed }));
  const { gone, dates, problem } = problemsOf(held, fields, changes);
  const nothing = pathsOf(changes).length === 0 ? "Nothing is changed yet." : undefined;
  return { held, fields, change, tagLines, setTagLines, tagProblem, dates, gone, changes, changing, save, problem: problem ?? tagProblem ?? nothing };
}

/** What is wrong with the dates. Those that were wrong before keep nobody from changing something else. */
function problemsOf(held: VaultSecretVersion, { notBeforeTime, expireTime }: Entered, changes: Partial<Attributes>) {
  const isGone = (held.notBeforeTime !== undefined && notBeforeTime === undefined) || (held.expireTime !== undefined && expireTime === undefined);
  const gone = isGone ? "The vault takes no date away from a version: add a new version without it." : undefined;
  const undated = notBeforeTime === null || expireTime === null ? "Say when." : undefined;
  const { error, warning } = checkedDates(notBeforeTime ?? undefined, expireTime ?? undefined);
  const isChanged = "notBeforeTime" in changes || "expireTime" in changes;
  const dates = { error: isChanged ? error : undefined, warning: isChanged ? warning : (error ?? warning) };
  return { gone, dates, problem: undated ?? gone ?? dates.error };
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
