import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Where reports are kept, in the folder that the bench is run in. */
const folder = 'bench-results';

/**
 * Ends a bench: with `json` prints the report as JSON and nothing else; otherwise prints its text, writes the JSON to
 * bench-results/NAME-TIME.json, and says so.
 */
export function publish(report: { readonly bench: string }, text: string, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const file = path.resolve(folder, `${report.bench}-${time}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`${text}\n\nas JSON: ${file}`);
}
