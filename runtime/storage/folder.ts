import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../errors.js';
import { patientWaitsMs, readPatiently } from '../read-file.js';
import { openHandles } from './file-handles.js';
import type { Store, StoreOptions } from './store.js';

/** Shorter waits are not worth a word. */
const toldWaitMs = 1_000;

/**
 * A folder's files. Faults that pass by themselves are waited for, up to 15 s; a file that is gone or must not
 * be read is an error at once.
 */
export function openFolder(root: string, o: StoreOptions = {}): Store {
  const folder = path.resolve(root);
  const nameOf = (file: string) => resolveInside(folder, file);
  const handles = openHandles();
  return {
    place: root,
    nameOf,
    async read(file, range, signal) {
      const name = nameOf(file);
      const onFault = (error: Error, waitMs: number) => {
        if (waitMs < toldWaitMs) return;
        o.warn?.(`cannot read image ${name}: ${error.message}; trying again in ${waitMs / 1_000} s`);
      };
      const read = range === null ? {} : { read: () => handles.read(name, range) };
      try {
        return await readPatiently(name, { waitsMs: patientWaitsMs, ...o, ...read, signal, onFault });
      } catch (error) {
        throw signal?.aborted ? error : unreadable(name, error);
      }
    },
    async sizeOf(file) {
      const name = nameOf(file);
      const found = await stat(name).catch((error: unknown) => {
        throw unreadable(name, error);
      });
      return found.size;
    },
    close: () => handles.close(),
  };
}

/** A path that leaves its folder is refused: names come over the network. */
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
  const { code, message, remedy } = RondoError.from(error);
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
          remedy:
            remedy ??
            'mend the disk or the network share that holds it, or restore the file, and resume the run',
          cause: error,
        },
      );
  }
}
