import type { FloatType } from '../../plan/run-config.js';
import { pieceBytes, workspaceOf } from '../arithmetic/reduction-vector.js';
import { piece as poolPiece } from './codec/frame-pool.js';
import { addInts, copyBytes, copyOut, finishSums, storeFloats } from './codec/segment-codec.js';
import { elementBytes, type Role } from './geometry.js';
import type { IncomingChunk, OutgoingChunk } from './transport/link.js';

export interface SegmentPass {
  /** int32 values; float32 where a segment is finished. */
  readonly vector: Float32Array;
  /** First element of the segment in the vector, and how many. */
  readonly offset: number;
  readonly count: number;
  readonly wire: FloatType;
  readonly role: Role;
}

/**
 * Moves a segment from `source` (null: from the vector alone, to start it, or to finish it in a world of one)
 * to `target` (null after its last hop, and in a world of one: nowhere). Where both are frames, they are the
 * same frame, unless what leaves is smaller than what comes.
 */
export function passSegment(
  { vector, offset, count, wire, role }: SegmentPass,
  source: IncomingChunk | null,
  target: OutgoingChunk | null,
): void {
  const comes = elementBytes[role === 'spread' ? wire : 'int32'];
  const leaves = elementBytes[role === 'start' || role === 'add' ? 'int32' : wire];
  const into = framePayload(target);
  const frame = framePayload(source) ?? (comes === leaves ? into : null);
  // Finished float32 go straight between slots and the vector.
  const straight = frame === null && role === 'spread' && wire === 'float32';
  const piece = workspaceOf(vector)?.piece ?? poolPiece;
  const step = pieceBytes / elementBytes.int32;
  for (let start = 0; start < count; start += step) {
    const elements = Math.min(step, count - start);
    const [first, bytes] = [offset + start, elements * comes];
    const part = straight
      ? new Uint8Array(vector.buffer, vector.byteOffset + first * comes, bytes)
      : (frame?.subarray(start * comes, start * comes + bytes) ?? piece.subarray(0, bytes));
    if (source === null) copyOut(vector, first, part);
    else if ('room' in source) source.room.read(start * comes, part);
    if (source !== null && (role === 'add' || role === 'finish')) addInts(vector, first, part);
    const leaving = role === 'finish' ? finishSums(part, wire) : part;
    if (role === 'finish' || (role === 'spread' && !straight)) storeFloats(vector, first, leaving, wire);
    if (target !== null && 'room' in target) target.room.write(start * leaves, leaving);
    else if (into !== null && into !== frame) {
      copyBytes(leaving, into.subarray(start * leaves, start * leaves + leaving.byteLength));
    }
  }
}

function framePayload(chunk: IncomingChunk | OutgoingChunk | null): Uint8Array | null {
  return chunk !== null && 'frame' in chunk ? chunk.payload : null;
}
