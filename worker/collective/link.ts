import type { FramedChunk } from './wire-format.js';

/** One rank's place in the ring: chunks go to its successor and come from its predecessor, in order. */
export interface Link {
  /**
   * Resolves when the link can take more; may be called before it has, and chunks then leave in the order of the
   * calls. The chunk belongs to the link from here on.
   */
  send(chunk: FramedChunk): Promise<void>;
  /** The next chunk, which belongs to the caller. One call at a time. */
  receive(): Promise<FramedChunk>;
  /** What was sent still leaves; whatever waits is rejected. May be called twice. */
  close(): void;
}
