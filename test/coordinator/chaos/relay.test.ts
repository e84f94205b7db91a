import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRelay, type Relay } from '../../../coordinator/chaos/relay.js';

let server: Server;
let relay: Relay;
/** What each connection of the server received, and its socket. */
let heard: { text: string; readonly socket: Socket }[];

beforeEach(async () => {
  heard = [];
  server = createServer((socket) => {
    const connection = { text: '', socket };
    heard.push(connection);
    socket.setEncoding('utf8').on('data', (text) => {
      connection.text += text;
    });
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  relay = await openRelay();
  relay.leadTo(addressOf(server));
});
afterEach(() => {
  relay.close();
  server.close();
  for (const { socket } of heard) socket.destroy();
});

function addressOf(listening: Server): string {
  const bound = listening.address();
  return `127.0.0.1:${typeof bound === 'object' ? bound?.port : bound}`;
}

interface Client {
  readonly socket: Socket;
  text: string;
}

async function join(): Promise<Client> {
  const socket = connect(Number(relay.address.split(':')[1]), '127.0.0.1');
  const client = { socket, text: '' };
  socket.setEncoding('utf8').on('data', (text) => {
    client.text += text;
  });
  await once(socket, 'connect');
  return client;
}

const patience = { timeout: 60_000 };
/** Longer than loopback takes. */
const passingMs = 100;

it.each([
  ['one way', true],
  ['both ways', false],
])('carries on what it held back when a partition is over (%s)', async (_, oneWay) => {
  const client = await join();
  client.socket.write('a');
  await expect.poll(() => heard[0]?.text, patience).toBe('a');
  const restore = relay.cutOff(process.pid, { oneWay });
  client.socket.write('b');
  heard[0]!.socket.write('1');
  // Another that comes meanwhile is cut off too.
  const later = await join();
  later.socket.write('c');
  await expect.poll(() => heard.length, patience).toBe(2);
  await setTimeout(passingMs);
  expect(heard.map(({ text }) => text)).toEqual(['a', '']);
  expect(client.text).toBe(oneWay ? '1' : '');
  expect(() => relay.cutOff(process.pid, { oneWay })).toThrow(/cut off already/);

  restore();
  await expect.poll(() => heard.map(({ text }) => text), patience).toEqual(['ab', 'c']);
  await expect.poll(() => client.text, patience).toBe('1');
  heard[0]!.socket.write('2');
  client.socket.write('d');
  await expect.poll(() => [client.text, heard[0]!.text], patience).toEqual(['12', 'abd']);
});

it('leaves the connections of other processes alone, and leads to another coordinator', async () => {
  const client = await join();
  expect(() => relay.cutOff(process.ppid, { oneWay: false })).toThrow(/no connection/);
  await expect.poll(() => heard.length, patience).toBe(1);
  heard[0]!.socket.destroy();
  await once(client.socket, 'close');
  const other = createServer((socket) => socket.end('other'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  relay.leadTo(addressOf(other));
  const next = await join();
  await once(next.socket, 'close');
  expect(next.text).toBe('other');
  other.close();
});
