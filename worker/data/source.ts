import path from 'node:path';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { type Patience, patientWaitsMs, readPatiently } from '../../runtime/read-file.js';

export type Split = 'train' | 'valid';

/** Where samples' bytes come from. */
export interface Source {
  /** The bytes of one sample's file. Rejects with RondoError, naming the file, and when the signal comes. */
  read(split: Split, id: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** The name of one sample's file for messages. */
  name(split: Split, id: number): string;
}

/** Shorter waits are not worth a word. */
const toldWaitMs = 1_000;

export interface FolderSourceOptions extends Pick<Partial<Patience>, 'waitsMs' | 'read'> {
  /** Told when a file is waited for. */
  warn?(message: string): void;
}

/**
 * Samples as files under the dataset's folders. A path that leaves its folder is refused: the index came over
 * the network. Faults that pass by themselves are waited for, up to 15 s; a file that is gone or must not be
 * read is an error at once.
 */
export function openFolderSource(dataset: Dataset, o: FolderSourceOptions = {}): Source {
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
    async read(split, id, signal) {
      const file = name(split, id);
      const onFault = (error: Error, waitMs: number) => {
        if (waitMs < toldWaitMs) return;
        o.warn?.(`cannot read image ${file}: ${error.message}; trying again in ${waitMs / 1_000} s`);
      };
      try {
        return await readPatiently(file, { waitsMs: patientWaitsMs, ...o, signal, onFault });
      } catch (error) {
        throw signal?.aborted ? error : unreadable(file, error);
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
  const { code, message } = RondoError.from(error);
  switch (code) {
    case 'not-found':
      return new RondoError(code, `image ${file} is gone: it was there when the run began`, {
        remedy: 'put the file back as it was, and resume the run',
        cause: error,
      });
    case 'permission-denied':
      return new RondoError(code, `image ${file} may not be read any more: ${message}`, {
        remedy: 'make the file readable for the user of the workers, and resume the run',
        cause: error,
      });
    default:
      return new RondoError(
        code === 'internal' ? 'data-loss' : code,
        `cannot read image ${file}: ${message}`,
        {
          remedy: 'mend the disk or the network share that holds it, or restore the file, and resume the run',
          cause: error,
        },
      );
  }
}
