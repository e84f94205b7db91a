import { connect, createServer, type Socket } from 'node:net';

/**
 * A TCP relay in front of a server, so that a test can break connections as a killed process does, and count what is
 * sent. That of `coordinator chaos` holds back what one of several processes says, and breaks nothing.
 */
export interface Relay {
  readonly address: string;
  /** How many bytes the server has sent. */
  sentBytes(): number;
  /** Breaks every connection. */
  destroy(): void;
}

/** Passes everything on to `target` (HOST:PORT). */
export async function openRelay(target: string): Promise<Relay> {
  const [host, port] = [
    target.slice(0, target.lastIndexOf(':')),
    Number(target.slice(target.lastIndexOf(':') + 1)),
  ];
  const sockets = new Set<Socket>();
  let sent = 0;
  const server = createServer((inner) => {
    const outer = connect(port, host);
    inner.pipe(outer).pipe(inner);
    outer.on('data', (bytes) => {
      sent += bytes.length;
    });
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      // A broken connection is what this is for.
      socket.on('error', () => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const relayPort = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    address: `127.0.0.1:${relayPort}`,
    sentBytes: () => sent,
    destroy() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
