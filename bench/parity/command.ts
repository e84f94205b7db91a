import { parseArgs } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import { compare, type Measured } from './compare.js';
import { type Reference, readReference } from './reference.js';
import { formatDeviations } from './report.js';

const usage = 'Usage: npm run parity -- FILE… [--json] [--roundings N]';

/**
 * Compares each file named in `args` with what `measure` computes, and prints a table per file, or one JSON array.
 * `--roundings N` is explained at `measure`.
 * Answers whether every bound was met. Throws RondoError for wrong arguments and wrong files, before it measures any.
 */
export async function runParity(
  args: readonly string[],
  {
    measure,
    print,
  }: { measure(reference: Reference, options: { roundings: number }): Measured; print(text: string): void },
): Promise<boolean> {
  const { files, json, roundings } = parseArguments(args);
  const references = await Promise.all(files.map(readReference));
  const results = references.map((reference, index) => {
    const file = files[index]!;
    const { arch, size, batch } = reference;
    const deviations = compare(reference, measure(reference, { roundings }));
    const title = `${file}: ${arch}, ${size} px, batch ${batch}${roundings > 1 ? `, gradients the nearest of ${roundings} roundings` : ''}`;
    if (!json) print(formatDeviations(title, deviations));
    return { file, arch, size, batch, roundings, met: deviations.every(({ met }) => met), deviations };
  });
  if (json) print(JSON.stringify(results, null, 2));
  return results.every(({ met }) => met);
}

function parseArguments(args: readonly string[]): { files: string[]; json: boolean; roundings: number } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, roundings: { type: 'string', default: '1' } },
    });
    if (positionals.length === 0) throw new Error('No file was given.');
    const roundings = Number(values.roundings);
    if (!Number.isInteger(roundings) || roundings < 1)
      throw new Error('--roundings is not a whole number from 1.');
    return { files: positionals, json: values.json, roundings };
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}
