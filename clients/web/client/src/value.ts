/** Secret values: nothing shows them but a call that says so. */

const HIDDEN = "SecretValue(**********)";

// Not in a private field, because the consoles of browsers show those.
const values = new WeakMap<SecretValue, string>();

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
