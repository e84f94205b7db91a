import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Client, makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CoordinatorClient } from '../../../proto/gen/coordinator.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import type { GrpcServer } from '../../../runtime/grpc/server.js';
import { testCredentials } from '../../support/credentials.js';
import { serveCoordinator } from '../../support/serve-coordinator.js';

const options = { credentials: testCredentials, peer: 'anybody', maxReceiveBytes: 1 << 20 };
let server: GrpcServer | undefined;
afterEach(() => server?.destroy());

describe('listening', () => {
  it('works on IPv6 loopback where there is any', async ({ skip }) => {
    const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ address }) => address === '::1'),
    );
    if (!hasIpv6) skip();
    server = await serveCoordinator('[::1]:0');
    expect(server.address).toMatch(/^\[::1\]:[1-9]\d*$/);
  });

  it.each(['0.0.0.0:0', '[::]:0', '192.168.1.1:7070', 'example.com:7070'])(
    'on %s is refused',
    async (address) => {
      await expect(serveCoordinator(address)).rejects.toMatchObject({
        code: 'permission-denied',
        message: expect.stringContaining(address),
        remedy: expect.stringContaining('127.0.0.1'),
      });
    },
  );

  it('on a port in use names the port and the remedy', async () => {
    const otherServer = createServer();
    await new Promise<void>((resolve) => otherServer.listen(0, '127.0.0.1', resolve));
    const address = otherServer.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await expect(serveCoordinator(`127.0.0.1:${port}`)).rejects.toMatchObject({
        code: 'failed-precondition',
        message: `port ${port} is already in use`,
        remedy: expect.stringContaining('--listen'),
      });
    } finally {
      otherServer.close();
    }
  });
});

describe('health', () => {
  interface HealthClient extends Client {
    check(
      request: { service: string },
      done: (error: Error | null, answer?: { status: string }) => void,
    ): void;
  }

  it('says SERVING for the server and for its service', async () => {
    server = await serveCoordinator('127.0.0.1:0');
    const Health = makeGenericClientConstructor(healthService, 'Health');
    const health = openChannel(Health, server.address, options) as Client as HealthClient;
    for (const service of ['', 'rondo.coordinator.v1.Coordinator']) {
      const answer = await new Promise((resolve, reject) => {
        health.check({ service }, (error, value) => (error === null ? resolve(value) : reject(error)));
      });
      expect(answer).toMatchObject({ status: 'SERVING' });
    }
    health.close();
  });
});

describe('closing', () => {
  it('does not wait without end for an open call', async () => {
    server = await serveCoordinator('127.0.0.1:0', {
      checkpoint: async function* () {
        yield { part: { $case: 'data', value: Uint8Array.of(1) } };
        await new Promise(() => {});
      },
    });
    const client = openChannel(CoordinatorClient, server.address, options);
    const call = client.fetchCheckpoint({ step: 0n });
    const error = new Promise<{ code: number }>((resolve) => call.on('error', resolve as never));
    await new Promise((resolve) => call.once('data', resolve));
    await server.close(100);
    await server.close(100);
    expect([status.UNAVAILABLE, status.CANCELLED]).toContain((await error).code);
    client.close();
  });
});
