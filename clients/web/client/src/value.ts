/** Secret values, texts and bytes: nothing shows them but a call that says so. */

const HIDDEN = "SecretValue(**********)";
const HIDDEN_DATA = "SecretData(**********)";

// Not in a private field, because the consoles of browsers show those.
const values = new WeakMap<SecretValue, string>();
const bytes = new WeakMap<SecretData, Uint8Array<ArrayBuffer>>();

/**
 * The value of a secret, on its way to the vault. Neither a template, `JSON.stringify`, `console.log` nor a console's
 * inspector shows it; {@link SecretValue.reveal} does.
 */
export class SecretValue {
  constructor(value: string | SecretValue) {
    const plain: unknown = value instanceof SecretValue ? value.reveal() : value;
    if (typeof plain !== "string" || !plain.isWellFormed()) {
      throw new TypeError("a secret value is a well-formed string");
    }
    values.set(this, plain);
  }

  /** The value itself. */
  reveal(): string {
    return values.get(this) ?? "";
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  /** What `console.log` of Node shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}

/** The bytes of a secret, such as the file of a certificate, on their way to the vault; hidden as a {@link SecretValue} is. */
export class SecretData {
  constructor(data: Uint8Array | SecretData) {
    const plain: unknown = data instanceof SecretData ? data.reveal() : data;
    if (!(plain instanceof Uint8Array)) {
      throw new TypeError("secret data is a Uint8Array");
    }
    bytes.set(this, new Uint8Array(plain));
  }

  /** The bytes themselves. */
  reveal(): Uint8Array<ArrayBuffer> {
    return bytes.get(this) ?? new Uint8Array();
  }

  toString(): string {
    return HIDDEN_DATA;
  }

  toJSON(): string {
    return HIDDEN_DATA;
  }

  /** What `console.log` of Node shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN_DATA;
  }
}

/** What is to be stored: a text, or bytes. */
export type Secret = string | Uint8Array | SecretValue | SecretData;

/** The same as nothing shows it. */
export function hidden(secret: Secret): SecretValue | SecretData {
  return secret instanceof Uint8Array || secret instanceof SecretData ? new SecretData(secret) : new SecretValue(secret);
}
