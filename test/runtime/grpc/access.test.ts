import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  Client,
  credentials,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type RunControl, serveControl } from '../../../coordinator/cluster/control.js';
import { CoordinatorClient } from '../../../proto/gen/coordinator.js';
import { PeerClient, PeerService } from '../../../proto/gen/peer.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { createRunToken, tokenCredentials } from '../../../runtime/grpc/credentials.js';
import { failCall, type GrpcServer, openGrpcServer } from '../../../runtime/grpc/server.js';
import { destroyFixtures, openFixture } from '../../support/cluster-fixture.js';
import { testCredentials, testToken } from '../../support/credentials.js';
import { openLinks, startPeers, stopPeers } from '../../support/grpc-peers.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  destroyFixtures();
  stopPeers();
});

/** Every service that proto/ declares, and gRPC's own that we serve. */
async function allServices(): Promise<{ name: string; definition: ServiceDefinition }[]> {
  const folder = new URL('../../../proto/gen/', import.meta.url);
  const found = new Map<string, ServiceDefinition>([['grpc.health.v1.Health', healthService]]);
  for (const file of readdirSync(fileURLToPath(folder)).filter((name) => name.endsWith('.ts'))) {
    const exported = (await import(new URL(file, folder).href)) as Record<string, unknown>;
    for (const [key, value] of Object.entries(exported)) {
      if (!key.endsWith('Service')) continue;
      const definition = value as ServiceDefinition;
      const [method] = Object.values(definition);
      found.set(method!.path.split('/')[1]!, definition);
    }
  }
  return [...found].map(([name, definition]) => ({ name, definition }));
}

const wrongMetadata: [string, () => Metadata][] = [
  ['no token', () => new Metadata()],
  ['an empty token', () => metadataOf('')],
  ['another run’s token', () => metadataOf(createRunToken())],
  ['the token and a letter', () => metadataOf(`${testToken}x`)],
  ['a token cut short', () => metadataOf(testToken.slice(0, -1))],
  ['a wrong token and the right one', () => metadataOf('a-wrong-token', testToken)],
];

function metadataOf(...tokens: string[]): Metadata {
  const metadata = new Metadata();
  for (const token of tokens) metadata.add('rondo-token', token);
  return metadata;
}

/** The status of a call with an empty message; of a stream, as soon as it answers anything. */
function callRaw(
  address: string,
  path: string,
  metadata: Metadata,
  body = Buffer.alloc(0),
): Promise<ServiceError | 'answered'> {
  const client = new Client(address, credentials.createInsecure());
  const identity = (value: Buffer) => value;
  return new Promise<ServiceError | 'answered'>((resolve) => {
    const call = client.makeBidiStreamRequest(path, identity, identity, metadata);
    call.on('error', resolve);
    call.on('data', () => resolve('answered'));
    call.on('end', () => resolve('answered'));
    call.write(body);
    call.end();
  }).finally(() => client.close());
}

/** What nobody reaches without the token. */
const refuseControl: RunControl = {
  status: () => expect.fail('nobody may ask'),
  scale: () => expect.fail('nobody may scale'),
  get log() {
    return expect.fail('nobody may read');
  },
};

describe('every RPC of every service', () => {
  it('is refused without the run’s token, and the run goes on meanwhile', async () => {
    const fixture = await openFixture(2);
    const peers = await startPeers(2);
    const links = await openLinks(peers, 1n);
    const control = await serveControl(refuseControl, testToken);
    const served: Record<string, string[]> = {
      'rondo.control.v1.Control': [control.address],
      'rondo.coordinator.v1.Coordinator': [fixture.cluster.address],
      'grpc.health.v1.Health': [fixture.cluster.address],
      // Where each member has a certificate: test/coordinator/cluster/identity.test.ts.
      'rondo.coordinator.v1.Enrolment': [],
      'rondo.peer.v1.Peer': peers.map(({ address }) => address),
    };
    let attacked = 0;
    const attack = async () => {
      for (const { name, definition } of await allServices()) {
        // A new service has to say here where it is served.
        expect(served, name).toHaveProperty([name]);
        for (const address of served[name]!) {
          for (const { path } of Object.values(definition)) {
            for (const [what, metadata] of wrongMetadata) {
              const error = await callRaw(address, path, metadata());
              expect(error, `${path} with ${what}`).toMatchObject({ code: status.UNAUTHENTICATED });
              expect(RondoError.from(error)).toMatchObject({
                code: 'unauthenticated',
                remedy: expect.stringContaining('--token-file'),
              });
              attacked += 1;
            }
          }
        }
      }
    };
    const result = fixture.cluster.run({ step: 0, source: 'fresh' });
    fixture.join('worker-0');
    await attack();
    // What was refused took nobody's place and left nothing behind.
    fixture.join('worker-1');
    await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
    expect(fixture.losses).toEqual([]);
    await attack();
    expect(attacked).toBeGreaterThanOrEqual(2 * wrongMetadata.length * (4 + 2 + 2 * 2));
    for (const link of links) link.close();
    control.destroy();
  });

  it('is answered with it: otherwise the refusals above would prove nothing', async () => {
    const fixture = await openFixture(1);
    const [peer] = await startPeers(1);
    for (const [address, path] of [
      [fixture.cluster.address, '/rondo.coordinator.v1.Coordinator/FetchDataset'],
      [fixture.cluster.address, '/grpc.health.v1.Health/Check'],
      [peer!.address, '/rondo.peer.v1.Peer/CopyState'],
    ] as const) {
      expect(await callRaw(address, path, metadataOf(testToken))).toBe('answered');
    }
  });
});

describe('a token', () => {
  it.each([
    '',
    'short',
    'with a space in it, and long',
    'ends-with-a-newline\n',
    'ü'.repeat(20),
    'x'.repeat(300),
  ])('%j is refused without being repeated', (token) => {
    expect(() => tokenCredentials(token)).toThrow(RondoError);
    if (token !== '') expect(() => tokenCredentials(token)).not.toThrow(new RegExp(token.slice(0, 5)));
  });

  it('is new for every run, and one that is taken', () => {
    const tokens = Array.from({ length: 100 }, createRunToken);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) tokenCredentials(token);
  });
});

/** A peer server whose CopyState never ends, with limits that a test can wait for. */
async function serve(o: { handshakeMs?: number; maxReceiveBytes?: number } = {}): Promise<GrpcServer> {
  const server = await openGrpcServer('127.0.0.1:0', {
    ...{ credentials: testCredentials, peer: 'anybody', maxReceiveBytes: 1 << 10, ...o },
    register: (services) =>
      services.addService(PeerService, {
        exchange: (call: Parameters<typeof failCall>[0]) => failCall(call, new Error('not asked for')),
        copyState: (call: { sendMetadata(metadata: Metadata): void }) => call.sendMetadata(new Metadata()),
      }),
  });
  closing.push(() => server.destroy());
  return server;
}

async function connectTo(address: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) });
  socket.on('error', () => {});
  // Unread, the end would not be noticed.
  socket.resume();
  closing.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('a server', () => {
  it('ends connections that say nothing, that say nothing sensible, and that only call without the token', async () => {
    const { address } = await serve({ handshakeMs: 200 });
    const [silent, garbled] = [await connectTo(address), await connectTo(address)];
    garbled.write('GET / HTTP/1.1\r\n\r\n');
    await Promise.all([once(silent, 'close'), once(garbled, 'close')]);

    const session = http2.connect(`http://${address}`);
    closing.push(() => session.destroy());
    const call = session.request({
      ':method': 'POST',
      ':path': '/rondo.peer.v1.Peer/CopyState',
      'content-type': 'application/grpc',
    });
    const [headers] = await once(call, 'response');
    expect(headers['grpc-status']).toBe(String(status.UNAUTHENTICATED));
    if (!session.closed) await once(session, 'close');
  });

  it('keeps a connection on which a call was authenticated', async () => {
    const { address } = await serve({ handshakeMs: 100 });
    const client = openChannel(PeerClient, address, {
      credentials: testCredentials,
      peer: 'anybody',
      maxReceiveBytes: 1 << 10,
    });
    closing.push(() => client.close());
    const call = client.copyState({ generation: 1n, step: 1n, digests: true });
    let ended = false;
    call.on('error', () => {
      ended = true;
    });
    await once(call, 'metadata');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(ended).toBe(false);
    call.cancel();
  });

  it('bounds how many unauthenticated connections wait: the oldest is destroyed, and a member still comes in', async () => {
    const { address } = await serve({ handshakeMs: 60_000 });
    const unauthenticated: Socket[] = [];
    for (let index = 0; index < 70; index += 1) unauthenticated.push(await connectTo(address));
    await vi.waitFor(() => expect(unauthenticated.filter(({ destroyed }) => destroyed)).toHaveLength(6));
    expect(unauthenticated.slice(0, 6).every(({ destroyed }) => destroyed)).toBe(true);

    const client = openChannel(PeerClient, address, {
      credentials: testCredentials,
      peer: 'anybody',
      maxReceiveBytes: 1 << 10,
    });
    closing.push(() => client.close());
    const call = client.copyState({ generation: 1n, step: 1n, digests: true });
    call.on('error', () => {});
    await once(call, 'metadata');
    call.cancel();
  });

  it('takes no message beyond its limit', async () => {
    const { address } = await serve({ maxReceiveBytes: 100 });
    const error = await callRaw(
      address,
      '/rondo.peer.v1.Peer/CopyState',
      metadataOf(testToken),
      Buffer.alloc(101),
    );
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });
});

describe('a channel', () => {
  it('carries a server’s error with its remedy', async () => {
    const { address } = await serve();
    const client = openChannel(PeerClient, address, {
      credentials: testCredentials,
      peer: 'anybody',
      maxReceiveBytes: 1 << 10,
    });
    closing.push(() => client.close());
    const call = client.exchange({
      generation: 1n,
      rank: 0,
      slots: undefined,
      dataConnection: false,
      ring: 0,
    });
    const [thrown] = await once(
      call.on('data', () => {}),
      'error',
    );
    expect(RondoError.from(thrown)).toMatchObject({ code: 'internal', message: 'not asked for' });
  });

  it.each(['http_proxy', 'https_proxy', 'grpc_proxy'])('goes past %s', async (variable) => {
    const { address } = await serve();
    vi.stubEnv(variable, 'http://127.0.0.1:1');
    vi.stubEnv('no_proxy', '');
    try {
      const client = openChannel(CoordinatorClient, address, {
        credentials: testCredentials,
        peer: 'anybody',
        maxReceiveBytes: 1,
      });
      closing.push(() => client.close());
      await new Promise<void>((resolve, reject) => {
        client.waitForReady(Date.now() + 5_000, (error) => (error ? reject(error) : resolve()));
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
