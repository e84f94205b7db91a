import { parseArgs } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import { compare, type Measured } from './compare.js';
import { type Reference, readReference } from './reference.js';
import { formatDeviations } from './report.js';

const usage = 'Usage: npm run parity -- FILE… [--json]';

/**
 * Compares each file named in `args` with what `measure` computes, and prints a table per file, or one JSON
 * array. Answers whether every bound was met. Throws RondoError for wrong arguments and wrong files, before
 * it measures any.
 */
export async function runParity(
  args: readonly string[],
  { measure, print }: { measure(reference: Reference): Measured; print(text: string): void },
): Promise<boolean> {
  const { files, json } = parseArguments(args);
  const references = await Promise.all(files.map(readReference));
  const results = references.map((reference, index) => {
    const file = files[index]!;
    const { arch, size, batch } = reference;
    const deviations = compare(reference, measure(reference));
    const title = `${file}: ${arch}, ${size} px, batch ${batch}`;
    if (!json) print(formatDeviations(title, deviations));
    return { file, arch, size, batch, met: deviations.every(({ met }) => met), deviations };
  });
  if (json) print(JSON.stringify(results, null, 2));
  return results.every(({ met }) => met);
}

function parseArguments(args: readonly string[]): { files: string[]; json: boolean } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    if (positionals.length === 0) throw new Error('No file was given.');
    return { files: positionals, json: values.json };
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}
