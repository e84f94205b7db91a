import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { createFrameSplitter } from './frame-splitter.js';

/** As much as one read of the socket takes at most; written over by the next, so it stays in the processor's cache. */
const readBytes = 256 * 1024;

const windowUpdateType = 8;

export interface TappedConnection {
  /** The connection without its DATA frames, for an HTTP/2 client session. */
  readonly session: Duplex;
  /** Lets the other side send `bytes` more on the connection and on `streamId`. */
  grant(streamId: number, bytes: number): void;
}

/**
 * A TCP connection whose incoming DATA frames go to `onData`, past the HTTP/2 implementation: Node's hands out 16 KiB at
 * a time in fresh memory, which costs more processor time than carrying the bytes through the system twice. Everything
 * else (settings, headers, pings, ends) is left to the session, whose windows say how much may come at first; from
 * then on `grant` does.
 */
export function connectTapped(
  address: { readonly host: string; readonly port: number },
  onData: (bytes: Buffer) => void,
): TappedConnection {
  const split = createFrameSplitter({ onData, onRest: (bytes) => session.push(Buffer.from(bytes)) });
  const socket = connect({
    ...address,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback(length, buffer) {
        try {
          split((buffer as Buffer).subarray(0, length));
        } catch (error) {
          session.destroy(error as Error);
        }
        return true;
      },
    },
  });
  const session = new Duplex({
    read() {},
    // A batch holds whole frames, and it leaves as one: between two of them a window update may go.
    writev(batch, done) {
      for (const { chunk } of batch.slice(0, -1)) socket.write(chunk);
      socket.write(batch[batch.length - 1].chunk, done);
    },
    final: (done) => socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('end', () => session.push(null));
  socket.on('error', (error) => session.destroy(error));
  socket.on('close', () => session.destroy());

  return {
    session,
    grant(streamId, bytes) {
      if (!socket.writable) return;
      socket.write(Buffer.concat([0, streamId].map((id) => windowUpdate(id, bytes))));
    },
  };
}

/** RFC 9113, section 6.9. */
function windowUpdate(streamId: number, bytes: number): Buffer {
  const frame = Buffer.alloc(13);
  frame.writeUIntBE(4, 0, 3);
  frame[3] = windowUpdateType;
  frame.writeUInt32BE(streamId, 5);
  frame.writeUInt32BE(bytes, 9);
  return frame;
}
