import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';

export type Split = 'train' | 'valid';

/** Where samples' bytes come from. */
export interface Source {
  /** The bytes of one sample's file. Rejects with RondoError, naming the file. */
  read(split: Split, id: number): Promise<Uint8Array>;
  /** The name of one sample's file for messages. */
  name(split: Split, id: number): string;
}

/**
 * Samples as files under the dataset's folders. A path that leaves its folder is refused: the index came over
 * the network.
 */
export function openFolderSource(dataset: Dataset): Source {
  const roots = { train: dataset.root, valid: dataset.validRoot ?? dataset.root };
  const name = (split: Split, id: number): string => {
    const sample = dataset[split][id];
    if (sample === undefined) {
      throw new RondoError('invalid-argument', `the ${split} set has no sample ${id}`, {
        remedy: `ids run from 0 to ${dataset[split].length - 1}`,
      });
    }
    return resolveInside(path.resolve(roots[split]), sample.path);
  };
  return {
    name,
    async read(split, id) {
      const file = name(split, id);
      try {
        return await readFile(file);
      } catch (error) {
        throw unreadable(file, error);
      }
    },
  };
}

function resolveInside(root: string, relative: string): string {
  const file = path.resolve(root, relative);
  const inside = path.relative(root, file);
  if (inside === '' || path.isAbsolute(inside) || inside.split(path.sep)[0] === '..') {
    throw new RondoError(
      'permission-denied',
      `the dataset index names ${relative}, which is not in ${root}`,
      {
        remedy: 'make sure that the worker joined the right coordinator',
      },
    );
  }
  return file;
}

function unreadable(file: string, error: unknown): RondoError {
  const cause = RondoError.from(error);
  return new RondoError(cause.code, `cannot read image ${file}: ${cause.message}`, {
    remedy: 'the folder must stay as it was indexed, at the same path on every worker, until the run ends',
    cause: error,
  });
}
