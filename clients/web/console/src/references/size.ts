/** How much of a value the vault takes. */
import { Encoding, SecretData, type SecretValue } from "@iotoperations/secret-service-client";

/** Bytes that a value in the vault may have at most. */
export const LARGEST_VALUE = 25_600;

/** Bytes that a value has, and that it takes in the vault, which keeps bytes as hex or base64. */
export function sizeOf(value: SecretValue | SecretData, encoding?: Encoding): { size: number; stored: number } {
  if (value instanceof SecretData) {
    const size = value.reveal().length;
    return { size, stored: encoding === Encoding.BASE64 ? Math.ceil(size / 3) * 4 : size * 2 };
  }
  const size = new TextEncoder().encode(value.reveal()).length;
  return { size, stored: size };
}

/** What is worth a second look in a text: what people paste without meaning to. */
export function oddityOf(text: string): string | undefined {
  if (text.includes("-----BEGIN ")) {
    return undefined;
  }
  if (/[\r\n]$/.test(text)) {
    return "It ends with a line break, which becomes part of the value.";
  }
  if (/^\s|\s$/.test(text)) {
    return "It begins or ends with a space, which becomes part of the value.";
  }
  return undefined;
}
