/** What is in the field of a value: it stays in that element, and in what is told of it. */
import { SecretData, SecretValue } from "@iotoperations/secret-service-client";
import { useCallback, useImperativeHandle, useLayoutEffect, useRef, useState, type Ref } from "react";

import { kindOf, kindOfText, textOf, type FileKind } from "./file-kind";
import { LARGEST_VALUE, oddityOf, sizeOf } from "./size";
import { grouped } from "../ui/words";

/** A value that can be taken, and what is known of it. */
export interface GivenValue {
  readonly value: SecretValue | SecretData;
  readonly kind: FileKind;
  readonly fileName?: string;
}

/** `nothing`: the field is empty. `wrong`: something was given that can't be taken, or is still being read: it stands for no other value. */
export type Given = "nothing" | "wrong" | GivenValue;

/** What whoever shows the field can do with it. */
export interface ValueFieldHandle {
  /** Forgets the value: once it has been sent, or is not wanted any more. */
  readonly clear: () => void;
  readonly focus: () => void;
}

/** Whoever shows the field. */
export interface ValueOwner {
  /** Told at every change: what is given, and a number that is another each time. */
  readonly onChange: (given: Given, revision: number) => void;
  readonly ref?: Ref<ValueFieldHandle>;
}

/** What may be known of the value that is there, without it. */
export interface About {
  readonly size: number;
  readonly stored: number;
  readonly kind: FileKind;
  readonly fileName?: string;
  readonly oddity?: string | undefined;
}

const LARGEST_FILE = 1_048_576;

export function useValue({ onChange, ref }: ValueOwner) {
  const text = useRef<HTMLTextAreaElement>(null);
  const revision = useRef(0);
  const [about, setAbout] = useState<About>();
  const [error, setError] = useState<string>();
  const tell = useRef(onChange);
  useLayoutEffect(() => {
    tell.current = onChange;
  });

  /** Something else is in the field from now on. */
  const put = useCallback((given: Given, problem?: string): void => {
    revision.current++;
    setError(problem);
    if (typeof given === "string") {
      setAbout(undefined);
      tell.current(given, revision.current);
      return;
    }
    const { value, kind, fileName } = given;
    const size = sizeOf(value);
    const oddity = value instanceof SecretValue ? oddityOf(value.reveal()) : undefined;
    setAbout({ ...size, kind, oddity, ...(fileName !== undefined && { fileName }) });
    tell.current(size.stored <= LARGEST_VALUE ? given : "wrong", revision.current);
  }, []);

  const empty = useCallback((): void => {
    if (text.current !== null) {
      text.current.value = "";
    }
  }, []);

  const clear = useCallback(() => {
    empty();
    put("nothing");
  }, [empty, put]);

  const typed = useCallback(() => {
    const value = text.current?.value ?? "";
    if (value === "") {
      put("nothing");
    } else if (value.isWellFormed()) {
      put({ value: new SecretValue(value), kind: kindOfText(value) });
    } else {
      put("wrong", "It holds half a character, which can't be stored.");
    }
  }, [put]);

  const take = useCallback(
    async (file: File) => {
      empty();
      put("wrong", problemOfSize(file));
      const turn = revision.current;
      if (problemOfSize(file) !== undefined) {
        return;
      }
      const bytes = await bytesOf(file);
      // What was typed, dropped or cleared while it was read is what counts.
      if (turn === revision.current) {
        if (bytes === undefined) {
          put("wrong", `${file.name} can't be read.`);
        } else {
          const plain = textOf(bytes);
          // The element would make one kind of line break of all: the file's own text is what counts.
          put({ value: plain === undefined ? new SecretData(bytes) : new SecretValue(plain), kind: kindOf(bytes), fileName: file.name });
          if (text.current !== null) {
            text.current.value = plain ?? "";
          }
        }
      }
      bytes?.fill(0);
    },
    [empty, put],
  );

  useImperativeHandle(ref, () => ({ clear, focus: () => text.current?.focus() }), [clear]);
  return { text, about, error, take, typed, clear };
}

function problemOfSize({ name, size }: File): string | undefined {
  if (size === 0) {
    return `${name} is empty.`;
  }
  return size > LARGEST_FILE ? `${name} is larger than the vault takes: ${grouped(LARGEST_VALUE)} bytes.` : undefined;
}

async function bytesOf(file: File): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}
