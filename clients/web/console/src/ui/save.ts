/** Files for whoever looks at the page. */

/** Hands a file to the browser. */
export function save(name: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** `2026-11-27T2000Z`: a point in time as a part of a file's name. */
export function timeInName(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace(":", "")}Z`;
}
