import { mapFile, mappableBytes, unmap } from '../../../../runtime/mapped-memory.js';
import { allocateReductionVector } from '../../../arithmetic/reduction-vector.js';
import { headBytes } from './slot-file.js';

/**
 * The reduction vectors of the ranks of one host. Every rank's lie in a file in shared memory, which
 * takes the place of the memory that they were allocated in; and all ranks' files lie side by side in another
 * memory, where kernels reach them.
 */
export interface SharedVectors {
  /**
   * Where all ranks have the elements of `vector`, by rank; null when it is not one of the shared, nor a part
   * of one. The memory that they lie in is a reduction vector's.
   */
  find(vector: Float32Array): Float32Array[] | null;
  /**
   * Unmaps the other ranks' vectors; arrays that `find` gave before read as zeros from then on. May be called
   * twice.
   */
  close(): void;
}

/** The vectors of a rank that shares them with nobody. */
export function loneVectors(vectors: readonly Float32Array[]): SharedVectors {
  const memories = new Set(vectors.map(({ buffer }) => buffer));
  return { find: (vector) => (memories.has(vector.buffer) ? [vector] : null), close() {} };
}

/** The size of a rank's file, without its head. */
export function sharedBytes(vectors: readonly Float32Array[]): number {
  return vectors.reduce((bytes, vector) => bytes + mappedBytes(vector), 0);
}

/**
 * @param vectors this rank's, whole ones from `allocateReductionVector`; their values are lost.
 * @param files descriptors by rank, of `sharedBytes` after the head each. They may be closed afterwards.
 * @throws RondoError `failed-precondition` when the system does not map them; RangeError when there are too
 *   many for one memory.
 */
export function openSharedVectors(o: {
  vectors: readonly Float32Array[];
  rank: number;
  files: readonly number[];
}): SharedVectors {
  const eachBytes = sharedBytes(o.vectors);
  const all = new Uint8Array(allocateReductionVector((o.files.length * eachBytes) / 4).buffer);
  const mapped = all.subarray(0, o.files.length * eachBytes);
  for (const [rank, file] of o.files.entries()) {
    mapFile(mapped.subarray(rank * eachBytes, (rank + 1) * eachBytes), file, headBytes);
  }
  /** Where the vectors of each memory begin in a rank's file. */
  const places = new Map<ArrayBufferLike, number>();
  let at = 0;
  for (const vector of o.vectors) {
    const bytes = mappedBytes(vector);
    mapFile(new Uint8Array(vector.buffer, 0, bytes), o.files[o.rank], headBytes + at);
    places.set(vector.buffer, at);
    at += bytes;
  }
  let isOpen = true;
  return {
    find({ buffer, byteOffset, length }) {
      const place = places.get(buffer);
      if (place === undefined) return null;
      return o.files.map(
        (_, rank) => new Float32Array(all.buffer, rank * eachBytes + place + byteOffset, length),
      );
    },
    close() {
      if (isOpen) unmap(mapped);
      isOpen = false;
    },
  };
}

/** Whole pages: a reduction vector's memory has them to itself. */
function mappedBytes(vector: Float32Array): number {
  return Math.ceil(vector.byteLength / mappableBytes) * mappableBytes;
}
