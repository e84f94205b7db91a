import { once } from 'node:events';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CoordinatorClient } from '../../../proto/gen/coordinator.js';
import { PeerClient, PeerService } from '../../../proto/gen/peer.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { failCall, type GrpcServer, openGrpcServer } from '../../../runtime/grpc/server.js';
import { testCredentials, testToken } from '../../support/credentials.js';
import { callRaw, metadataOf } from './raw-call.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
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

/** A member's call, which begins and does not end. */
function callAsMember(address: string) {
  const client = openChannel(PeerClient, address, {
    credentials: testCredentials,
    peer: 'anybody',
    maxReceiveBytes: 1 << 10,
  });
  closing.push(() => client.close());
  return client.copyState({ generation: 1n, step: 1n, flat: true });
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
    const call = callAsMember(address);
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
    await expect.poll(() => unauthenticated.filter(({ destroyed }) => destroyed)).toHaveLength(6);
    expect(unauthenticated.slice(0, 6).every(({ destroyed }) => destroyed)).toBe(true);

    const call = callAsMember(address);
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
