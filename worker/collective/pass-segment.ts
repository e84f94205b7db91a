import type { FloatType } from '../../plan/run-config.js';
import { pieceBytes, piece as poolPiece } from './codec/frame-pool.js';
import { workspaceOf } from './codec/reduction-vector.js';
import { segmentCodecs } from './codec/segment-codec.js';
import { elementBytes } from './geometry.js';
import type { IncomingChunk, OutgoingChunk } from './transport/link.js';

/** What a rank does with a segment on its way from one chunk to the next. */
export interface SegmentPass {
  readonly vector: Float32Array;
  /** First element of the segment in the vector, and how many. */
  readonly offset: number;
  readonly count: number;
  readonly wire: FloatType;
  /** What comes is a partial sum, to which the vector's own values are added. */
  readonly adds: boolean;
  /** What is then there is the sum, and goes to the vector. */
  readonly finishes: boolean;
}

/**
 * Moves a segment from `source` (null on its first hop: from the vector) to `target` (null after its last
 * hop: nowhere). Where both are frames, they are the same frame.
 */
export function passSegment(
  o: SegmentPass,
  source: IncomingChunk | null,
  target: OutgoingChunk | null,
): void {
  const { vector, wire, offset, count } = o;
  const bytesEach = elementBytes[wire];
  const codec = segmentCodecs[wire];
  const frame = framePayload(source) ?? framePayload(target);
  // Between slots and the vector float32 goes straight.
  const straight = frame === null && wire === 'float32' && !o.adds;
  const piece = workspaceOf(vector)?.piece ?? poolPiece;
  const step = pieceBytes / bytesEach;
  for (let start = 0; start < count; start += step) {
    const elements = Math.min(step, count - start);
    const [first, at, bytes] = [offset + start, start * bytesEach, elements * bytesEach];
    const part = straight
      ? new Uint8Array(vector.buffer, vector.byteOffset + first * bytesEach, bytes)
      : (frame?.subarray(at, at + bytes) ?? piece.subarray(0, bytes));
    if (source !== null && 'room' in source) source.room.read(at, part);
    if (!straight) {
      if (source === null) codec.write(vector, first, part);
      if (o.adds) codec.add(vector, first, part);
      if (o.finishes) codec.store(vector, first, part);
    }
    if (target !== null && 'room' in target) target.room.write(at, part);
  }
}

function framePayload(chunk: IncomingChunk | OutgoingChunk | null): Uint8Array | null {
  return chunk !== null && 'frame' in chunk ? chunk.payload : null;
}
