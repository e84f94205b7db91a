import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { PeerClient, type PeerServer, PeerService } from '../../../proto/gen/peer.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { openDataConnection, ticketBytes } from '../../../runtime/grpc/data-connection.js';
import { type GrpcServer, openGrpcServer } from '../../../runtime/grpc/server.js';
import { parseHostPort } from '../../../runtime/host-port.js';
import { openLog } from '../../../runtime/log.js';
import { testCredentials } from '../../support/credentials.js';

const ticket = Buffer.alloc(ticketBytes, 5);
const closing: (() => void)[] = [];
let taken: Socket[] = [];
let lines: { event: string; reason: string }[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
  openLog({ program: 'test', environment: {}, write() {} });
});

const service: PeerServer = { exchange: (call) => call.end(), copyState: (call) => call.end() };

/** Answers calls at once, and takes connections with `ticket`. */
async function serve(handshakeMs = 10_000): Promise<GrpcServer> {
  taken = [];
  lines = [];
  const write = (text: string) => void lines.push(JSON.parse(text) as (typeof lines)[number]);
  openLog({ program: 'test', environment: { RONDO_LOG: 'warn' }, write });
  const server = await openGrpcServer('127.0.0.1:0', {
    ...{ credentials: testCredentials, maxReceiveBytes: 1 << 10, handshakeMs },
    register: (grpc) => grpc.addService(PeerService, service),
    connect(given, socket, caller) {
      expect(caller).toBeNull();
      if (!given.equals(ticket)) throw new RondoError('unauthenticated', 'a wrong ticket');
      taken.push(socket);
      socket.resume();
    },
  });
  closing.push(() => server.destroy());
  return server;
}

function dial({ address }: GrpcServer): Socket {
  const socket = connect({ ...parseHostPort(address), noDelay: true }).on('error', () => {});
  closing.push(() => socket.destroy());
  return socket;
}

async function call(address: string): Promise<void> {
  const client = openChannel(PeerClient, address, {
    ...{ credentials: testCredentials, peer: 'anybody', maxReceiveBytes: 1 },
  });
  closing.push(() => client.close());
  await once(
    client.exchange({ generation: 1n, rank: 0, slots: undefined, dataConnection: false, ring: 0 }).resume(),
    'end',
  );
}

it('serves calls and data connections at one port', async () => {
  const server = await serve();
  const buffer = Buffer.alloc(64);
  const arrived: string[] = [];
  const callback = (bytes: number) => arrived.push(buffer.toString('utf8', 0, bytes)) > 0;
  const socket = openDataConnection(server.address, {
    ...{ proof: { tls: null }, ticket, onread: { buffer, callback }, onConnected() {} },
  });
  closing.push(() => socket.destroy());
  await call(server.address);
  await expect.poll(() => taken.length).toBe(1);
  taken[0]!.write('some bytes');
  await expect.poll(() => arrived.join('')).toBe('some bytes');
  await call(server.address);
  server.destroy();
  await once(socket, 'close');
});

it('knows both by their first bytes, however these are cut', async () => {
  const server = await serve();
  const data = dial(server);
  for (const byte of [...Buffer.from('rondo/1\n'), ...ticket]) {
    data.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  await expect.poll(() => taken.length).toBe(1);
  const http = dial(server);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  for (const byte of [...Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ...settings]) {
    http.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  // The server's own settings.
  const [answer] = (await once(http, 'data')) as [Buffer];
  expect(answer[3]).toBe(4);
});

it.each([
  ['another ticket', Buffer.concat([Buffer.from('rondo/1\n'), Buffer.alloc(ticketBytes)])],
  ['half a ticket', Buffer.concat([Buffer.from('rondo/1\n'), ticket.subarray(1)])],
])('closes a connection with %s, and logs it once', async (_, bytes) => {
  const server = await serve();
  const socket = dial(server);
  socket.end(bytes);
  await once(socket.resume(), 'close');
  expect(lines).toMatchObject([{ event: 'connection refused', reason: 'a wrong ticket' }]);
  expect(taken).toEqual([]);
});

it.each([
  ['says nothing', ''],
  ['begins and says no more', 'rondo/1\n'],
  ['speaks neither', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
])('closes a connection that %s', async (_, text) => {
  const server = await serve(200);
  const socket = dial(server);
  socket.write(text);
  await once(socket.resume(), 'close');
  expect(taken).toEqual([]);
});

it('keeps a connection whose ticket was right', async () => {
  const server = await serve(100);
  const socket = dial(server);
  socket.write(Buffer.concat([Buffer.from('rondo/1\n'), ticket]));
  await expect.poll(() => taken.length).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(socket.closed).toBe(false);
  expect(lines).toEqual([]);
});
