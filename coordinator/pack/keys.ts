import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { printable } from '../../runtime/printable.js';

/** What samples are called in the shards: after their files, or by number. */
export const keyKinds = ['path', 'number'] as const;
export type KeyKind = (typeof keyKinds)[number];

const numberDigits = 8;

/**
 * The names of samples in shards, without ending: what WebDataset calls the key. It takes files for one
 * sample whose names agree up to the first dot of the last part, so dots there become _, and so do control
 * characters, some of which it cannot match; and it passes over names like __meta__, so no name begins with
 * two _. Throws invalid-argument, naming both, for two files of one key.
 *
 * @param paths of one set
 * @param positions their numbers
 */
export function nameSamples(
  kind: KeyKind,
  paths: readonly string[],
  positions: readonly number[],
): readonly string[] {
  if (kind === 'number') return positions.map((position) => String(position).padStart(numberDigits, '0'));
  const owners = new Map<string, string>();
  return paths.map((path) => {
    const key = keyOf(path);
    const other = owners.get(key);
    if (other !== undefined) throw sharedKey(other, path, key);
    owners.set(key, path);
    return key;
  });
}

function keyOf(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  const name = path.slice(slash).replace(imageName, '').replaceAll('.', '_');
  return (path.slice(0, slash) + name).replace(/[\p{Cc}\u2028\u2029]/gu, '_').replace(/^__+/, '_');
}

function sharedKey(first: string, second: string, key: string): RondoError {
  const [one, other] = [printable(first), printable(second)];
  return new RondoError(
    'invalid-argument',
    `${one} and ${other} would both be the sample ${key} in a shard: endings do not count there, and other dots become _`,
    { remedy: 'rename one of them, or number the samples: --keys number' },
  );
}
