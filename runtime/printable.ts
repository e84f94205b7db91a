/**
 * Characters that a terminal may obey, or XML may not hold: controls other than tabs, line separators,
 * overrides of the direction of writing, halves of surrogate pairs, and non-characters. Line breaks are among
 * them.
 */
const unprintable = /(?!\t)[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu;

/**
 * Text that others chose (names of files and classes, messages of workers) as one line that does nothing but
 * show.
 */
export function printable(text: string): string {
  return text.replace(unprintable, '\ufffd');
}

/** As `printable`, with its line breaks: for messages that are composed of lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/**
 * Writes what may hold names and messages that others chose, so that a terminal shows control characters
 * instead of obeying them.
 */
export function writeLines(output: { write(text: string): unknown }, lines: readonly string[]): void {
  for (const line of lines) output.write(`${printableLines(line)}\n`);
}

/**
 * JSON on one line that says the same as JSON.stringify's, with escapes for the characters that it leaves as
 * they are.
 */
export function printableJson(value: unknown): string {
  return escapeUnprintable(JSON.stringify(value));
}

/** As `printableJson`, of JSON on one line. */
export function escapeUnprintable(json: string): string {
  return json.replace(unprintable, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A text as one word of a POSIX shell's command line: as it is when that will do, else in single quotes. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
