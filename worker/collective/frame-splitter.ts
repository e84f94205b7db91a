import { RondoError } from '../../runtime/errors.js';

/** Where the frames of one HTTP/2 connection go. Bytes are valid during the call only. */
export interface FrameSink {
  /** A piece of a DATA frame's payload. */
  onData(bytes: Buffer): void;
  /** A piece of everything else, as it came. */
  onRest(bytes: Buffer): void;
}

const headerBytes = 9;
const typeAt = 3;
const flagsAt = 4;
const dataType = 0;
const endStream = 0x1;
const padded = 0x8;

/**
 * Splits what comes over an HTTP/2 connection (RFC 9113, section 4.1), cut anywhere, into the payload of DATA frames and
 * everything else. What is left reads as the same connection without its data: a DATA frame that ends its stream
 * stays in it, emptied.
 *
 * @throws RondoError `data-loss` for a padded DATA frame, which Node's HTTP/2 never sends unless asked to.
 */
export function createFrameSplitter(sink: FrameSink): (bytes: Buffer) => void {
  const header = Buffer.alloc(headerBytes);
  let headerLength = 0;
  let remaining = 0;

  const isData = () => header[typeAt] === dataType;
  const endFrame = () => {
    headerLength = 0;
    if (!isData() || (header[flagsAt] & endStream) === 0) return;
    header.fill(0, 0, typeAt);
    sink.onRest(header);
  };

  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      if (headerLength < headerBytes) {
        const count = Math.min(headerBytes - headerLength, bytes.length - at);
        bytes.copy(header, headerLength, at, at + count);
        at += count;
        headerLength += count;
        if (headerLength < headerBytes) return;
        remaining = header.readUIntBE(0, 3);
        if (!isData()) sink.onRest(header);
        else if ((header[flagsAt] & padded) !== 0) {
          throw new RondoError('data-loss', 'a padded DATA frame came, which no worker sends');
        }
      }
      const count = Math.min(remaining, bytes.length - at);
      if (count > 0) {
        const piece = bytes.subarray(at, at + count);
        if (isData()) sink.onData(piece);
        else sink.onRest(piece);
        at += count;
        remaining -= count;
      }
      if (remaining === 0) endFrame();
    }
  };
}
