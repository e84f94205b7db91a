import { connect, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { parseHostPort } from '../host-port.js';
import type { ChannelProof } from './credentials.js';

// A connection for bulk data, at the port that also serves gRPC: HTTP/2 costs more processor time than everything else
// on the way (bench/LOG.md). It is agreed on in a call: the server answers with a ticket, which holds once, and the
// client brings it on a connection that proves what the call's connection proved. What follows is the client's to read.

/** Random bytes. */
export const ticketBytes = 16;

const magic = Buffer.from('rondo/1\n');
/** As long as HTTP/2's own preface. */
const prefaceBytes = magic.byteLength + ticketBytes;

/**
 * Connects to `address` (HOST:PORT), and brings `ticket` when the other end has proved who it is. Bytes that arrive are
 * put where `onread` says.
 *
 * @param onConnected called when the ticket is on its way.
 */
export function openDataConnection(
  address: string,
  o: {
    readonly proof: Pick<ChannelProof, 'tls'>;
    readonly ticket: Uint8Array;
    readonly onread: OnReadOpts;
    onConnected(): void;
  },
): Socket {
  const { tls } = o.proof;
  const place = { ...parseHostPort(address), onread: o.onread };
  const socket =
    tls === null ? connect({ ...place, noDelay: true }) : connectSecurely({ ...place, ...tls }).setNoDelay();
  socket.once(tls === null ? 'connect' : 'secureConnect', () => {
    socket.write(Buffer.concat([magic, o.ticket]));
    o.onConnected();
  });
  return socket;
}

/**
 * Reads how a connection begins: `decide` is given its ticket, or null where it is no data connection; what was read is
 * back in the socket then.
 */
export function readPreface(socket: Socket, decide: (ticket: Buffer | null) => void): void {
  // It may break while nobody else listens yet.
  socket.on('error', () => {});
  const look = () => {
    const start = socket.read(prefaceBytes) as Buffer | null;
    if (start === null) return;
    socket.off('readable', look);
    if (start.subarray(0, magic.byteLength).equals(magic)) return decide(start.subarray(magic.byteLength));
    socket.unshift(start);
    decide(null);
  };
  socket.on('readable', look);
}
