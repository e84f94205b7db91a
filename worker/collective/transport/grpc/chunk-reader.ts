import { beginChunk, type FramedChunk, headerBytes } from '../../codec/wire-format.js';

/** Takes chunks from a stream of bytes that is read straight to where their payloads belong. */
export interface ChunkReader {
  /** Where the next bytes are to be put; never empty. */
  room(): Uint8Array;
  /**
   * So many bytes have been put there. Gives the chunk that is whole with them, if one is. @throws RondoError as
   * `beginChunk`.
   */
  filled(bytes: number): FramedChunk | null;
}

export function createChunkReader(): ChunkReader {
  const header = Buffer.alloc(headerBytes);
  let chunk: FramedChunk | null = null;
  /** Bytes of the header, or of the chunk's payload when there is one. */
  let have = 0;
  return {
    room: () => (chunk === null ? header : chunk.payload).subarray(have),
    filled(bytes) {
      have += bytes;
      if (chunk === null) {
        if (have < headerBytes) return null;
        chunk = beginChunk(header);
        have = 0;
      }
      if (have < chunk.payload.byteLength) return null;
      const whole = chunk;
      chunk = null;
      have = 0;
      return whole;
    },
  };
}
