/** What is entered in "Create new", and what is wrong with it. */
import { Encoding, newId, type SecretData, type SecretValue } from "@iotoperations/secret-service-client";
import { useCallback, useState } from "react";

import { checkedDates } from "./instants";
import type { NewSecretDialogProps } from "./new-secret-dialog";
import { encodingsFor, tagsOf, type NewSecretDraft } from "./secret-draft";
import { sizeOf } from "./size";
import type { Given, GivenValue } from "./use-value";
import { useNameState, type NameState } from "./vault-secret-name";

interface Fields {
  readonly name: string;
  /** `null`: switched on, and nothing entered. */
  readonly activation: Date | null | undefined;
  readonly expiration: Date | null | undefined;
  readonly contentType: string;
  readonly tags: string;
  readonly encoding: Encoding;
  readonly keepDates: boolean;
}

/** All that is entered: another object for every other content. */
interface Entered {
  readonly fields: Fields;
  readonly given: Given;
  /** Of what is given. */
  readonly revision: number;
}

export interface NewSecret {
  /** Another one as soon as anything of it is changed. */
  readonly entered: object;
  readonly fields: Fields;
  readonly change: (change: Partial<Fields>) => void;
  readonly changeValue: (given: Given, revision: number) => void;
  readonly value: SecretValue | SecretData | undefined;
  /** Whether no value is given, and none was before. */
  readonly isEmpty: boolean;
  readonly nameState: NameState;
  readonly dates: { error?: string; warning?: string };
  readonly tagProblem: string | undefined;
  /** Whether somebody tried to go on: from then on, what is missing is said. */
  readonly isChecked: boolean;
  /** What was entered, where nothing is wrong with it. */
  readonly checked: () => NewSecretDraft | undefined;
}

export function useNewSecret(props: NewSecretDialogProps): NewSecret {
  const { use, vaultSecret = "", takenNames = [], initial } = props;
  const [entered, setEntered] = useState<Entered>(() => ({ fields: fieldsOf(props), given: "nothing", revision: 0 }));
  const { fields, given } = entered;
  const value = valueOf(given, initial);
  const [isChecked, setChecked] = useState(false);
  // Two openings of the dialog are two requests, even with the same content.
  const [opening] = useState(() => newId());
  const name = use === "version" ? vaultSecret : fields.name;
  const nameState = useNameState(name, takenNames, use !== "version");
  const dates = checkedDates(fields.activation ?? undefined, fields.expiration ?? undefined);
  const { tags, problem: tagProblem } = tagsOf(fields.tags);

  const change = useCallback((changed: Partial<Fields>) => setEntered((old) => ({ ...old, fields: { ...old.fields, ...changed } })), []);
  const changeValue = useCallback<NewSecret["changeValue"]>((now, revision) => setEntered((old) => ({ ...old, given: now, revision })), []);

  const checked = (): NewSecretDraft | undefined => {
    setChecked(true);
    const isNamed = use === "version" || nameState.state === "free" || nameState.state === "unknown";
    const isDated = dates.error === undefined && fields.activation !== null && fields.expiration !== null;
    if (!isNamed || !isDated || tagProblem !== undefined || value === undefined) {
      return undefined;
    }
    const { value: plain, kind, fileName } = value;
    const rest = {
      vaultSecret: name,
      ...(fields.activation && { notBeforeTime: fields.activation }),
      ...(fields.expiration && { expireTime: fields.expiration }),
      ...(fields.contentType.trim() !== "" && { contentType: fields.contentType.trim() }),
      ...(Object.keys(tags).length > 0 && { tags }),
      ...(isAllowed(fields.encoding, plain) && { encoding: fields.encoding }),
      keepDates: fields.keepDates,
    };
    const revision = JSON.stringify([opening, entered.revision, rest]);
    return { ...rest, value: plain, kind, size: sizeOf(plain).size, ...(fileName !== undefined && { fileName }), revision };
  };

  const isEmpty = given === "nothing" && initial === undefined;
  return { entered, fields, change, changeValue, value: value?.value, isEmpty, nameState, dates, tagProblem, isChecked, checked };
}

/** The value that counts: the one before only where nothing is given in its place, and not where that is wrong. */
function valueOf(given: Given, before: GivenValue | undefined): GivenValue | undefined {
  if (given === "nothing") {
    return before;
  }
  return given === "wrong" ? undefined : given;
}

function fieldsOf({ proposedName = "", initial }: NewSecretDialogProps): Fields {
  return {
    name: initial?.vaultSecret ?? proposedName,
    activation: initial?.notBeforeTime,
    expiration: initial?.expireTime,
    contentType: initial?.contentType ?? "",
    tags: Object.entries(initial?.tags ?? {})
      .map(([tag, text]) => `${tag}=${text}`)
      .join("\n"),
    encoding: initial?.encoding ?? Encoding.UNSPECIFIED,
    keepDates: initial?.keepDates ?? false,
  };
}

/** Whether a value can be kept so; unspecified is left out. */
function isAllowed(encoding: Encoding, value: SecretValue | SecretData): boolean {
  return encoding !== Encoding.UNSPECIFIED && encodingsFor(value).some(([known]) => known === encoding);
}
