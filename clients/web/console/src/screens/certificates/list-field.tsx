/** The choice of a list: one that is there, or one that is made with its first entry. */
import { Field, Input, Select } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";

import type { CertificateList } from "./lists";

const ANOTHER = "";
const KINDS = { trust: "Trust list", issuer: "Issuer list", other: "Certificates" } as const;

/** What lists of a kind are called. */
export function wordsOfKind(kind: CertificateList["kind"]): string {
  return KINDS[kind];
}

interface ListFieldProps {
  readonly lists: readonly CertificateList[];
  readonly value: string;
  readonly onChange: (list: string) => void;
}

export function ListField({ lists, value, onChange }: ListFieldProps): ReactNode {
  const choices = lists.filter(({ kind }) => kind !== "other");
  const [isAnother, setIsAnother] = useState(!choices.some(({ id }) => id === value));
  const problem = isAnother && value !== "" ? problemOfList(value) : undefined;
  return (
    <>
      <Field label="Certificate list">
        <Select
          value={isAnother ? ANOTHER : value}
          onChange={(_, { value: chosen }) => {
            setIsAnother(chosen === ANOTHER);
            onChange(chosen);
          }}
        >
          {choices.map(({ id, kind, secret }) => (
            <option key={id} value={id}>
              {`${wordsOfKind(kind)}: ${id}${secret === undefined ? " (made with its first entry)" : ""}`}
            </option>
          ))}
          <option value={ANOTHER}>Another list…</option>
        </Select>
      </Field>
      {isAnother && (
        <Field
          label="Name of the list"
          required
          hint="The name of the synced secret that a device or a connector template names. It is made where there is none; one that ends with trust-list or issuer-list is shown as such."
          {...(problem !== undefined && { validationMessage: problem })}
        >
          <Input value={value} onChange={(_, { value: typed }) => onChange(typed)} />
        </Field>
      )}
    </>
  );
}

/** What is wrong with the name of a list, which is the name of a Kubernetes Secret. */
export function problemOfList(name: string): string | undefined {
  const isRight = name.length <= 253 && name.split(".").every((part) => /^[0-9a-z]([0-9a-z-]*[0-9a-z])?$/.test(part));
  return isRight ? undefined : "Lower case letters, digits, hyphens and dots; it begins and ends with a letter or a digit.";
}
