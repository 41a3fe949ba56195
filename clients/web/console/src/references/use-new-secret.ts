/** What is entered in "Create new", and what is wrong with it. */
import { Encoding, newId, type SecretData, type SecretValue } from "@iotoperations/secret-service-client";
import { useCallback, useRef, useState } from "react";

import { kindOf, kindOfText, type FileKind } from "./file-kind";
import { checkedDates } from "./instants";
import type { NewSecretDialogProps } from "./new-secret-dialog";
import { encodingsFor, tagsOf, type NewSecretDraft } from "./secret-draft";
import { sizeOf } from "./size";
import type { FileSource } from "./value-field";
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

interface Value {
  readonly value: SecretValue | SecretData;
  readonly fileName?: string;
  readonly kind: FileKind;
}

export interface NewSecret {
  readonly fields: Fields;
  readonly change: (change: Partial<Fields>) => void;
  readonly changeValue: (value: SecretValue | SecretData | undefined, revision: number, source?: FileSource) => void;
  readonly value: SecretValue | SecretData | undefined;
  readonly hasValue: boolean;
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
  const [fields, setFields] = useState(() => fieldsOf(props));
  const [given, setGiven] = useState<{ value: Value | undefined; revision: number }>({ value: initial, revision: 0 });
  const [isChecked, setChecked] = useState(false);
  // Two openings of the dialog are two requests, even with the same content.
  const [opening] = useState(() => newId());
  const before = useRef<Value | undefined>(initial);
  const name = use === "version" ? vaultSecret : fields.name;
  const nameState = useNameState(name, takenNames, use !== "version");
  const dates = checkedDates(fields.activation ?? undefined, fields.expiration ?? undefined);
  const { tags, problem: tagProblem } = tagsOf(fields.tags);

  const change = useCallback((changed: Partial<Fields>) => setFields((old) => ({ ...old, ...changed })), []);
  const changeValue = useCallback<NewSecret["changeValue"]>((value, revision, source) => {
    const kind = source?.kind ?? (value === undefined ? "text" : kindOfValue(value));
    const now = value === undefined ? before.current : { value, kind, ...(source !== undefined && { fileName: source.fileName }) };
    setGiven({ value: now, revision });
  }, []);

  const checked = (): NewSecretDraft | undefined => {
    setChecked(true);
    const isNamed = use === "version" || nameState.state === "free" || nameState.state === "unknown";
    const isDated = dates.error === undefined && fields.activation !== null && fields.expiration !== null;
    if (!isNamed || !isDated || tagProblem !== undefined || given.value === undefined) {
      return undefined;
    }
    const { value, kind, fileName } = given.value;
    const rest = {
      vaultSecret: name,
      ...(fields.activation && { notBeforeTime: fields.activation }),
      ...(fields.expiration && { expireTime: fields.expiration }),
      ...(fields.contentType.trim() !== "" && { contentType: fields.contentType.trim() }),
      ...(Object.keys(tags).length > 0 && { tags }),
      ...(isAllowed(fields.encoding, value) && { encoding: fields.encoding }),
      keepDates: fields.keepDates,
    };
    const revision = JSON.stringify([opening, given.revision, rest]);
    return { ...rest, value, kind, size: sizeOf(value).size, ...(fileName !== undefined && { fileName }), revision };
  };

  const { value } = given;
  return { fields, change, changeValue, value: value?.value, hasValue: value !== undefined, nameState, dates, tagProblem, isChecked, checked };
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

function kindOfValue(value: SecretValue | SecretData): FileKind {
  const plain = value.reveal();
  return typeof plain === "string" ? kindOfText(plain) : kindOf(plain);
}
