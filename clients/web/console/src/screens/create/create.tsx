/** New: a synced secret, from what it is for to what to enter in the resource that uses it. */
import type { SecretPurpose } from "@iotoperations/secret-service-client";
import { SecretService } from "@iotoperations/secret-service-client/v1";
import { makeStyles, MessageBar, MessageBarBody, MessageBarTitle, tokens } from "@fluentui/react-components";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { usePurposes } from "../../api/hooks";
import { problemOfSyncedSecretName } from "../../references/names";
import { ReferenceList } from "../../references/reference-list";
import { useSettled } from "../../references/vault-secret-name";
import { ActionButton } from "../../ui/action";
import { CommandsButton } from "../../ui/commands";
import { Loading, Page, Section } from "../../ui/page";
import { Problem } from "../../ui/problem";
import { useCreation } from "./creation";
import { missingIn, problemsIn, requestOf, revisionOf, slotsOf, takesAnyKey, wordsOfCommand, type Form, type FormProblems } from "./form";
import { Leaving } from "./leaving";
import { NameSection } from "./name-section";
import { Attempt, Created } from "./outcome";
import { PurposeField } from "./purpose-field";
import { ANYTHING, useForm } from "./use-form";

const useStyles = makeStyles({
  buttons: { display: "flex", flexWrap: "wrap", gap: tokens.spacingHorizontalS },
  body: { whiteSpace: "normal", overflowWrap: "anywhere", paddingBlock: tokens.spacingVerticalS },
  form: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalXXL, maxWidth: "60rem" },
  fields: { display: "flex", flexDirection: "column", gap: tokens.spacingVerticalXXL, minWidth: 0, margin: 0, padding: 0, border: "none" },
  missing: { margin: 0, paddingInlineStart: tokens.spacingHorizontalXL },
});

const TITLE = "New synced secret";

export function Create(): ReactNode {
  const { data, error, refetch } = usePurposes();
  if (data !== undefined) {
    return <NewSecret purposes={data.purposes} />;
  }
  return (
    <Page title={TITLE}>
      {error === null ? <Loading what="what it can be for" /> : <Problem error={error} onRetry={() => void refetch()} />}
    </Page>
  );
}

/** What was created, without the values. */
interface Done {
  readonly references: readonly { key: string; slot?: string }[];
  readonly purpose: SecretPurpose | undefined;
}

/** The resource that is about to be made, once its name is one: rights may be for single names. */
function useResource(name: string): string {
  const settled = useSettled(name);
  return problemOfSyncedSecretName(settled) === undefined ? `syncedSecrets/${settled}` : "";
}

function NewSecret({ purposes }: { purposes: readonly SecretPurpose[] }): ReactNode {
  const styles = useStyles();
  const search = useSearch({ from: "/new" });
  const navigate = useNavigate();
  const entry = useForm(purposes, search);
  const { creation, check, create, reset } = useCreation();
  const [checked, setChecked] = useState(false);
  const [done, setDone] = useState<Done>();
  const { form, purpose, change, changeReferences, clear } = entry;
  const resource = useResource(form.name);
  const busy = creation.phase === "checking" || creation.phase === "creating" || creation.phase === "looking";
  // What was said of something else than what is entered now says nothing any more.
  const isCurrent = "form" in creation && revisionOf(creation.form) === revisionOf(form);
  const said = creation.phase === "refused" ? problemsIn(creation.error, creation.form) : undefined;
  const problems = current(said, creation.phase === "refused" ? creation.form : form, form);
  // What an attempt of the same content has recorded is in nobody's way.
  const isOpen = isCurrent && creation.phase === "refused" && creation.isOpen;
  const isTaken = entry.isTaken && !isOpen;
  const missing = missingIn(form, purpose, isTaken);

  const submit = async (how: (form: Form) => Promise<boolean>): Promise<void> => {
    setChecked(true);
    // From now on a proposed name is the name: it doesn't become another one because this one is recorded.
    change({ name: form.name });
    if (missing.length > 0 || busy) {
      return;
    }
    if ((await how(form)) && how === create) {
      setDone({ references: form.references.map(({ key, slot }) => ({ key, ...(slot !== undefined && { slot }) })), purpose });
      // The values have been sent: nothing keeps them.
      clear();
    }
  };

  if (creation.phase === "created" && done !== undefined) {
    const again = (): void => {
      reset();
      setDone(undefined);
      setChecked(false);
    };
    return (
      <Page title={`Created: ${creation.secret.name.replace("syncedSecrets/", "")}`}>
        <Created secret={creation.secret} stored={creation.stored} {...done} onAgain={again} />
      </Page>
    );
  }
  return (
    <Page
      title={TITLE}
      subtitle="Secrets of Azure Key Vault, synced to a Kubernetes Secret of this instance."
      actions={form.references.length > 0 && form.name !== "" && (
        <CommandsButton
          method={SecretService.method.createSyncedSecret}
          request={requestOf(form)}
          words={wordsOfCommand(form)}
          note="The command asks for the value of each new secret, hidden; it takes no dates, tags and content types: create such a secret with “vault create” first."
        />
      )}
    >
      <div className={styles.form}>
        {/* What is being created stays as it is: whatever was changed meanwhile would be lost once it is done. */}
        <fieldset className={styles.fields} disabled={busy} aria-label="What to create">
          <Section title="1. Purpose">
            <PurposeField
              purposes={purposes}
              value={form.purpose}
              checked={checked}
              onChange={(id) => void navigate({ to: "/new", search: { ...search, purpose: id || ANYTHING }, replace: true })}
            />
          </Section>
          <Section title="2. References">
            <ReferenceList
              slots={slotsOf(purpose)}
              anyKeys={takesAnyKey(purpose)}
              references={form.references}
              onChange={changeReferences}
              problems={problems.references}
              prefix={entry.isNamed ? form.name : ""}
              checked={checked}
            />
          </Section>
          <Section title="3. Name">
            <NameSection
              form={form}
              purpose={purpose}
              onChange={change}
              isTaken={isTaken}
              isProposed={!entry.isNamed}
              problems={problems}
              checked={checked}
            />
          </Section>
        </fieldset>
        <Section title="4. Check and create">
          {checked && missing.length > 0 && <Missing missing={missing} />}
          {(busy || isCurrent) && <Attempt creation={creation} />}
          <div className={styles.buttons}>
            <ActionButton
              appearance="primary"
              method="CreateSyncedSecret"
              resource={resource}
              unless={busy ? "It is being carried out." : undefined}
              onClick={() => void submit(create)}
            >
              Create
            </ActionButton>
            <ActionButton
              method="CreateSyncedSecret"
              resource={resource}
              unless={busy ? "It is being carried out." : isOpen ? "Part of it may be there already: press Create to go on." : undefined}
              onClick={() => void submit(check)}
            >
              Check only
            </ActionButton>
          </div>
        </Section>
      </div>
      <Leaving isDirty={entry.isDirty} isCreating={creation.phase === "creating"} />
    </Page>
  );
}

function Missing({ missing }: { missing: readonly string[] }): ReactNode {
  const styles = useStyles();
  return (
    <MessageBar intent="error" layout="multiline" role="alert">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>Something is missing.</MessageBarTitle>
        <ul className={styles.missing}>
          {missing.map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
      </MessageBarBody>
    </MessageBar>
  );
}

/** Of the problems that were told of a form, those that are about what still stands in it. */
function current(told: FormProblems | undefined, then: Form, now: Form): FormProblems {
  const references = [...(told?.references ?? [])].filter(([id]) => {
    const [before, after] = [then, now].map((form) => form.references.find((reference) => reference.id === id));
    return before?.key === after?.key && before?.source === after?.source;
  });
  return {
    ...(told?.name !== undefined && then.name === now.name && { name: told.name }),
    ...(told?.labels !== undefined && then.labels === now.labels && { labels: told.labels }),
    ...(told?.secretType !== undefined && then.secretType === now.secretType && { secretType: told.secretType }),
    references: new Map(references),
    rest: told?.rest ?? [],
  };
}
