import { once } from 'node:events';
import type { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RingTransport, ringTransports } from '../../../../../plan/run-config.js';
import { PeerClient, type PeerServer, RingKind } from '../../../../../proto/gen/peer.js';
import { anonymousProof } from '../../../../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../../../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../../../../runtime/grpc/credentials.js';
import { openDataConnection } from '../../../../../runtime/grpc/data-connection.js';
import type { GrpcServer } from '../../../../../runtime/grpc/server.js';
import { openLog } from '../../../../../runtime/log.js';
import { workerName } from '../../../../../runtime/member-name.js';
import { createRing } from '../../../../../worker/collective/all-reduce.js';
import { createExchange, type Exchange } from '../../../../../worker/collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../../../../../worker/collective/transport/grpc/peer-server.js';
import { createCopyAccess } from '../../../../../worker/session/copy-access.js';
import {
  type CertifiedRun,
  closeCertifiedRuns,
  openCertifiedRun,
} from '../../../../support/certified-run.js';

const ids = ['worker-0', 'worker-1', 'worker-2'];
const names = ids.map(workerName);
const { signal } = new AbortController();
let run: CertifiedRun;
let peers: { exchange: Exchange; server: GrpcServer; credentials: RunCredentials }[];
const closing: (() => void)[] = [];

beforeEach(async () => {
  run = await openCertifiedRun();
  peers = await Promise.all(ids.map(async (id) => startPeer(await run.credentialsOf(id))));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  closeCertifiedRuns();
});

async function startPeer(credentials: RunCredentials) {
  const exchange = createExchange(credentials, { waitMs: () => 10_000, sharedMemory: null });
  const service: PeerServer = { exchange: exchange.handler, copyState: (call) => call.end() };
  const server = await startPeerServer('127.0.0.1:0', credentials, service, exchange.connect);
  closing.push(() => {
    exchange.close();
    server.destroy();
  });
  return { exchange, server, credentials };
}

function openLinks(generation: bigint, transport: RingTransport = 'sockets') {
  return Promise.all(
    peers.map(({ exchange }, rank) =>
      exchange.openLink({
        ...{ generation, rank, worldSize: 3, names, transport, signal },
        predecessorAddress: peers[(rank + 2) % 3]!.server.address,
      }),
    ),
  );
}

/** How a pull from the first peer ends, by whoever holds `credentials`, as `rank`. */
async function pull(
  credentials: RunCredentials,
  generation: bigint,
  rank: number,
  { name = names[0]!, ring = RingKind.RING_KIND_ALL } = {},
) {
  const client = openChannel(PeerClient, peers[0]!.server.address, {
    ...{ credentials, peer: name, maxReceiveBytes: 1 << 20 },
  });
  closing.push(() => client.close());
  const call = client.exchange({ generation, rank, slots: undefined, dataConnection: false, ring });
  call.on('data', () => {});
  const [error] = (await once(call, 'error')) as [{ details: string }];
  return error.details;
}

it.each(ringTransports)(
  'sums around a ring in which every neighbour has proved who it is, before a renewal and after (%s)',
  async (transport) => {
    for (const generation of [1n, 2n]) {
      const links = await openLinks(generation, transport);
      const sums = await Promise.all(
        links.map(async (link, rank) => {
          const ring = createRing({ rank, worldSize: 3, generation, link, wire: 'float32' });
          const told = await ring.allGather(Uint8Array.of(rank), { signal });
          return told.map((bytes) => [...bytes]);
        }),
      );
      for (const sum of sums) expect(sum.flat().toSorted()).toEqual([0, 1, 2]);
      for (const { credentials } of peers) {
        const { renew } = credentials as Awaited<ReturnType<CertifiedRun['credentialsOf']>>;
        renew(await run.issue(ids[peers.findIndex((peer) => peer.credentials === credentials)]!));
      }
    }
  },
);

it('lets only the named successor of this generation pull, and logs who else tried', async () => {
  const lines: { event: string; reason: string; caller?: string }[] = [];
  const write = (text: string) => void lines.push(JSON.parse(text) as (typeof lines)[number]);
  openLog({ program: 'test', environment: { RONDO_LOG: 'warn' }, write });
  closing.push(() => openLog({ program: 'test', environment: {}, write() {} }));
  await openLinks(5n);
  const [, successor, third] = peers.map(({ credentials }) => credentials);
  // In the successor's place, as itself, and with the name of one that is not in this ring at all.
  expect(await pull(third!, 5n, 1)).toMatch(/not that of rank 1 of generation 5/);
  expect(await pull(third!, 5n, 2)).toMatch(/not that of rank 1 of generation 5/);
  expect(await pull(await run.credentialsOf('worker-9'), 5n, 1)).toMatch(/not that of rank 1/);
  expect(await pull(await otherRuns('worker-1'), 5n, 1)).not.toMatch(/pulls already/);
  expect(await pull(successor!, 5n, 1)).toMatch(/pulls already/);
  expect(await pull(successor!, 4n, 1)).toMatch(/generation 4 is over/);
  const others = workerName('worker-9');
  const calls = lines.filter(({ event }) => event === 'call refused');
  expect(calls.map(({ reason, caller }) => [caller, reason])).toEqual([
    [names[2], expect.stringContaining('rank 1 of generation 5')],
    [others, expect.stringContaining('rank 1 of generation 5')],
    [names[1], expect.stringContaining('pulls already')],
    [names[1], expect.stringContaining('generation 4 is over')],
  ]);
});

it('lets only the named successor pull in a ring of some ranks, whose tickets hold for that ring', async () => {
  const transport = 'sockets';
  await openLinks(5n, transport);
  const ring = { kind: RingKind.RING_KIND_BETWEEN_HOSTS, ranks: [0, 2] };
  const opening = [0, 2].map((rank) =>
    peers[rank]!.exchange.openLink({
      ...{ generation: 5n, rank, worldSize: 3, ring, names, transport, signal },
      predecessorAddress: peers[2 - rank]!.server.address,
    }),
  );
  const between = await Promise.all(opening);
  const sums = between.map((link, rank) => {
    const of = createRing({ rank, worldSize: 2, generation: 5n, link, wire: 'float32' });
    return of.allGather(Uint8Array.of(rank), { signal });
  });
  expect(await Promise.all(sums)).toEqual(Array(2).fill([Uint8Array.of(0), Uint8Array.of(1)]));
  const [, second, third] = peers.map(({ credentials }) => credentials);
  // The successor among all ranks, as itself and in the place of the successor among these.
  expect(await pull(second!, 5n, 1, { ring: ring.kind })).toMatch(/not that of rank 2 of generation 5/);
  expect(await pull(second!, 5n, 2, { ring: ring.kind })).toMatch(/not that of rank 2 of generation 5/);
  expect(await pull(third!, 5n, 2)).toMatch(/not that of rank 1 of generation 5/);
  expect(await pull(third!, 5n, 1, { ring: ring.kind })).toMatch(/rank 1 .* is not its successor, rank 2/);
  expect(await pull(third!, 5n, 2, { ring: ring.kind })).toMatch(/pulls already/);
});

it('lets only the named successor bring the ticket of its pull, once', async () => {
  const lines: { event: string; reason: string; caller?: string }[] = [];
  const write = (text: string) => void lines.push(JSON.parse(text) as (typeof lines)[number]);
  openLog({ program: 'test', environment: { RONDO_LOG: 'warn' }, write });
  closing.push(() => openLog({ program: 'test', environment: {}, write() {} }));
  const [first, successor, third] = peers;
  const opening = first!.exchange.openLink({
    ...{ generation: 5n, rank: 0, worldSize: 3, names, transport: 'sockets', signal },
    predecessorAddress: third!.server.address,
  });
  opening.catch(() => {});
  const client = openChannel(PeerClient, first!.server.address, {
    ...{ credentials: successor!.credentials, peer: names[0]!, maxReceiveBytes: 1 << 20 },
  });
  closing.push(() => client.close());
  const call = client.exchange({
    ...{ generation: 5n, rank: 1, slots: undefined, dataConnection: true, ring: RingKind.RING_KIND_ALL },
  });
  call.on('error', () => {}).resume();
  const [metadata] = (await once(call, 'metadata')) as [Metadata];
  const ticket = metadata.get('rondo-ticket-bin')[0] as Buffer;
  /** Whether the connection stays. */
  const bring = async (credentials: Pick<RunCredentials, 'channel'>, given: Buffer) => {
    const socket = openDataConnection(first!.server.address, {
      proof: credentials.channel(names[0]!),
      ...{ ticket: given, onread: { buffer: Buffer.alloc(9), callback: () => true }, onConnected() {} },
    });
    closing.push(() => socket.destroy());
    socket.on('error', () => {}).resume();
    return new Promise((resolve) => {
      socket.on('close', () => resolve(false));
      setTimeout(resolve, 1_000, true);
    });
  };
  const guest = { channel: (peer: string) => anonymousProof(run.authorityPem, peer) };
  expect(await bring(guest, ticket)).toBe(false);
  expect(await bring(await otherRuns('worker-1'), ticket)).toBe(false);
  expect(await bring(third!.credentials, ticket)).toBe(false);
  expect(await bring(successor!.credentials, Buffer.alloc(ticket.length))).toBe(false);
  expect(await bring(successor!.credentials, ticket)).toBe(true);
  expect(await bring(successor!.credentials, ticket)).toBe(false);
  const noTicket = expect.stringContaining('brings no ticket of an exchange that waits');
  expect(
    lines.filter(({ event }) => event === 'connection refused').map(({ caller, reason }) => [caller, reason]),
  ).toEqual([
    [undefined, 'it shows no certificate'],
    [names[2], expect.stringContaining('not that of rank 1 of generation 5')],
    [names[1], noTicket],
  ]);
  // A generation that is over has no tickets.
  void first!.exchange
    .openLink({
      ...{ generation: 6n, rank: 0, worldSize: 3, names, transport: 'sockets', signal },
      predecessorAddress: third!.server.address,
    })
    .catch(() => {});
  expect(await bring(successor!.credentials, ticket)).toBe(false);
});

it('calls nobody who proves to be another member', async () => {
  expect(await pull(peers[1]!.credentials, 1n, 1, { name: names[2]! })).toMatch(/is of w-.*, not of w-/);
});

it('lets a state be copied by the coordinator and by members of the newest generation', async () => {
  const access = createCopyAccess(() => 200);
  const server = await startPeerServer('127.0.0.1:0', peers[0]!.credentials, {
    exchange: (call) => call.end(),
    copyState(call) {
      access.check(call).then(
        () => call.end(),
        (error: Error) => call.emit('error', { code: 7, details: error.message }),
      );
    },
  });
  closing.push(() => server.destroy());
  const copy = (credentials: RunCredentials, generation: bigint) => {
    const client = openChannel(PeerClient, server.address, {
      ...{ credentials, peer: names[0]!, maxReceiveBytes: 1 << 20 },
    });
    closing.push(() => client.close());
    const call = client.copyState({ generation, step: 1n, flat: true });
    return new Promise<string>((resolve) => {
      call.on('error', (error) => resolve(error.message));
      call.on('end', () => resolve('copied'));
      call.resume();
    });
  };
  const stranger = await run.credentialsOf('worker-9');
  expect(await copy(run.authority.credentials, 1n)).toBe('copied');
  expect(await copy(peers[1]!.credentials, 3n)).toMatch(/was not told of generation 3/);
  const early = copy(peers[1]!.credentials, 4n);
  access.assign(4n, ids);
  expect(await early).toBe('copied');
  expect(await copy(peers[1]!.credentials, 3n)).toMatch(/members of the present generation/);
  expect(await copy(stranger, 4n)).toMatch(/members of the present generation/);
});

async function otherRuns(id: string): Promise<RunCredentials> {
  const other = await openCertifiedRun();
  return other.credentialsOf(id);
}
