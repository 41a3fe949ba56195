/** A secret that is to be created in the vault, while it is put together: what the dialog "Create new" hands over. */
import {
  createNew,
  Encoding,
  SecretData,
  type Reference,
  type SecretValue,
  type StoredOptions,
  type ValueOptions,
} from "@iotoperations/secret-service-client";

import type { FileKind } from "./file-kind";

/** A new vault secret, or a new version of one. */
export interface NewSecretDraft {
  /** The name in the vault, without `vaultSecrets/`. */
  readonly vaultSecret: string;
  /** Shown by nothing; dropped once it was sent. */
  readonly value: SecretValue | SecretData;
  readonly kind: FileKind;
  readonly size: number;
  readonly fileName?: string;
  readonly notBeforeTime?: Date;
  readonly expireTime?: Date;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** How the vault keeps it: sets the tag `file-encoding`. */
  readonly encoding?: Encoding;
  /** Of a new version: whether the dates of the one before stay. */
  readonly keepDates?: boolean;
  /** Another one for every other content: what a request id goes with. */
  readonly revision: string;
}

/** What goes with the value, for `createVaultSecret` and `addVaultSecretVersion`. */
export function optionsOf(draft: NewSecretDraft): ValueOptions & StoredOptions {
  const { contentType, notBeforeTime, expireTime, tags, encoding } = draft;
  return { contentType, notBeforeTime, expireTime, tags, encoding };
}

/** The reference that creates it. */
export function newReferenceOf(key: string, draft: NewSecretDraft): Reference {
  const { encoding, ...options } = optionsOf(draft);
  return createNew(key, `vaultSecrets/${draft.vaultSecret}`, draft.value, {
    ...options,
    ...(encoding !== undefined && { storedEncoding: encoding }),
  });
}

/** The ways that the vault can keep a value; with bytes, one of them it must be. */
export function encodingsFor(value: SecretValue | SecretData | undefined): readonly (readonly [Encoding, string])[] {
  return value instanceof SecretData
    ? [
        [Encoding.UNSPECIFIED, "As hex"],
        [Encoding.BASE64, "As base64"],
      ]
    : [
        [Encoding.UNSPECIFIED, "It is the value itself"],
        [Encoding.BASE64, "It is base64 of the value"],
        [Encoding.HEX, "It is hex of the value"],
      ];
}

/** Tags of lines `name=value`; what is wrong with them where they are none. */
export function tagsOf(text: string): { tags: Record<string, string>; problem?: string } {
  const tags: Record<string, string> = {};
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (line === "") {
      continue;
    }
    const [name = "", ...rest] = line.split("=");
    if (name.trim() === "" || rest.length === 0) {
      return { tags, problem: `Write one tag a line, as name=value: “${line}” is none.` };
    }
    tags[name.trim()] = rest.join("=").trim();
  }
  return Object.keys(tags).length > 15 ? { tags, problem: "A vault secret has at most 15 tags." } : { tags };
}
