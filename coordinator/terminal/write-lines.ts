import { printableLines } from '../../runtime/printable.js';

/**
 * Writes what may hold names and messages that others chose, so that a terminal shows control characters
 * instead of obeying them.
 */
export function writeLines(output: { write(text: string): unknown }, lines: readonly string[]): void {
  for (const line of lines) output.write(`${printableLines(line)}\n`);
}
