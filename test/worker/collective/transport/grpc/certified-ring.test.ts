import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PeerClient } from '../../../../../proto/gen/peer.js';
import { openChannel } from '../../../../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../../../../runtime/grpc/credentials.js';
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
  const server = await startPeerServer('127.0.0.1:0', credentials, {
    exchange: exchange.handler,
    copyState: (call) => call.end(),
  });
  closing.push(() => {
    exchange.close();
    server.destroy();
  });
  return { exchange, server, credentials };
}

function openLinks(generation: bigint) {
  return Promise.all(
    peers.map(({ exchange }, rank) =>
      exchange.openLink({
        ...{ generation, rank, worldSize: 3, names, signal },
        predecessorAddress: peers[(rank + 2) % 3]!.server.address,
      }),
    ),
  );
}

/** How a pull from the first peer ends, by whoever holds `credentials`, as `rank`. */
async function pull(credentials: RunCredentials, generation: bigint, rank: number, name = names[0]!) {
  const client = openChannel(PeerClient, peers[0]!.server.address, {
    ...{ credentials, peer: name, maxReceiveBytes: 1 << 20 },
  });
  closing.push(() => client.close());
  const call = client.exchange({ generation, rank, slots: undefined });
  call.on('data', () => {});
  const [error] = (await once(call, 'error')) as [{ details: string }];
  return error.details;
}

it('sums around a ring in which every neighbour has proved who it is, before a renewal and after', async () => {
  for (const generation of [1n, 2n]) {
    const links = await openLinks(generation);
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
});

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

it('calls nobody who proves to be another member', async () => {
  expect(await pull(peers[1]!.credentials, 1n, 1, names[2])).toMatch(/is of w-.*, not of w-/);
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
    const call = client.copyState({ generation, step: 1n, digests: true });
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
