import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolder } from '../../runtime/make-folder.js';

/** Where reports are kept, in the folder that the bench is run in. */
const folder = 'bench-results';

/** A new file there for a bench's report. */
export function reportFile(bench: string): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  return path.resolve(folder, `${bench}-${time}.json`);
}

/** Writes the report as JSON; again with each part that is added to one that takes minutes. */
export function keepReport(file: string, report: object): void {
  makeFolder(path.dirname(file));
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

/**
 * Ends a bench: with `json` prints the report as JSON and nothing else; otherwise prints its text, writes the
 * JSON to bench-results/NAME-TIME.json, or to `file`, and says so.
 */
export function publish(
  report: { readonly bench: string },
  text: string,
  json: boolean,
  file = reportFile(report.bench),
): void {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  keepReport(file, report);
  console.log(`${text}\n\nas JSON: ${file}`);
}
