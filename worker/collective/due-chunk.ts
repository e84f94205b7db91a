import type { FloatType } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { wireTypes } from './codec/wire-format.js';
import { elementBytes } from './geometry.js';
import type { IncomingChunk } from './transport/link.js';

/** What one hop's chunk of a round is about. */
export interface Due {
  readonly generation: bigint;
  readonly round: bigint;
  readonly hop: number;
  /** First element in the vector, and how many. */
  readonly offset: number;
  readonly count: number;
  readonly wire: FloatType;
}

/**
 * @throws RondoError `aborted` for a chunk of another generation, `data-loss` for one that is not the one
 * that is due.
 */
export function checkChunk(chunk: IncomingChunk, due: Due, sender: number): void {
  const from = `rank ${sender}`;
  if (chunk.generation !== due.generation) {
    const text = `a chunk of generation ${chunk.generation} from ${from} came in generation ${due.generation}`;
    throw new RondoError('aborted', text);
  }
  const isDue =
    chunk.round === due.round &&
    chunk.hop === due.hop &&
    chunk.offset === due.offset &&
    chunk.count === due.count &&
    chunk.wireType === wireTypes[due.wire] &&
    ('room' in chunk || chunk.payload.byteLength === due.count * elementBytes[due.wire]);
  if (isDue) return;
  const came = `round ${chunk.round}, hop ${chunk.hop}, elements ${chunk.offset} + ${chunk.count}, wire type ${chunk.wireType}, ${chunk.payload.byteLength} bytes`;
  const wanted = `round ${due.round}, hop ${due.hop}, elements ${due.offset} + ${due.count}, wire type ${wireTypes[due.wire]}`;
  throw new RondoError(
    'data-loss',
    `the chunk from ${from} is not the one that is due: ${came}; due: ${wanted}`,
    {
      remedy: 'All workers of a run must have the same version and the same run configuration.',
    },
  );
}
