/** Choices of a select element, whose values are texts. */

/** The choice that a text stands for; the first one where it stands for none. */
export function chosen<T>(choices: readonly (readonly [T, string])[], text: string): T | undefined {
  return (choices.find(([value]) => String(value) === text) ?? choices[0])?.[0];
}
