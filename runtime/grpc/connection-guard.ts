import type { Socket } from 'node:net';
import type { RefusalLog, Remote } from './refusals.js';

/** As many connections may wait for their first authenticated call. */
const maxWaiting = 64;
export const defaultHandshakeMs = 5_000;

/**
 * Bounds the connections of callers that prove no membership: a connection on which no call was authenticated
 * within some seconds is destroyed, and when too many wait, the oldest of them.
 */
export interface ConnectionGuard {
  accept(socket: Socket): void;
  /** A call on this connection was authenticated: it may stay. */
  authenticated(remote: Remote): void;
  /** Destroys those that wait. Safe to call twice. */
  close(): void;
}

export function guardConnections(refusals: RefusalLog, handshakeMs = defaultHandshakeMs): ConnectionGuard {
  /** In the order in which they came. */
  const waiting = new Map<string, { socket: Socket; timer: NodeJS.Timeout }>();

  const release = (key: string) => {
    const entry = waiting.get(key);
    clearTimeout(entry?.timer);
    waiting.delete(key);
    return entry?.socket;
  };
  const expel = (key: string, reason: string) => {
    const socket = release(key);
    if (socket === undefined) return;
    refusals.refused('connection closed', { remote: socket.remoteAddress, reason });
    socket.destroy();
  };
  return {
    accept(socket) {
      const key = keyOf(socket);
      // What arrived while this process was busy is read before the connection is timed out.
      const expire = () =>
        setImmediate(() => expel(key, `nothing on it proved a membership within ${handshakeMs / 1_000} s`));
      waiting.set(key, { socket, timer: setTimeout(expire, handshakeMs) });
      socket.once('close', () => {
        if (waiting.get(key)?.socket === socket) release(key);
      });
      if (waiting.size <= maxWaiting) return;
      const [oldest] = waiting.keys();
      expel(oldest!, `more than ${maxWaiting} connections prove no membership`);
    },
    authenticated: (remote) => void release(keyOf(remote)),
    close() {
      for (const key of [...waiting.keys()]) release(key)?.destroy();
    },
  };
}

/** Tells a connection from all others that are open. */
export function keyOf({ remoteAddress, remotePort }: Remote): string {
  return `${remoteAddress} ${remotePort}`;
}
