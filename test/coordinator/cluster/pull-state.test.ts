import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { pullState } from '../../../coordinator/cluster/pull-state.js';
import type { StateChunk } from '../../../proto/gen/coordinator.js';
import { RondoError } from '../../../runtime/errors.js';
import { toGrpc } from '../../../runtime/grpc/answer-error.js';
import { testCredentials } from '../../support/credentials.js';
import { type PeerStateServer, servePeerState } from '../../support/peer-state-server.js';

const servers: PeerStateServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function makeState(length: number) {
  const values = Float32Array.from({ length }, (_, index) => Math.fround(index * 0.1 - 3));
  const bytes = Buffer.from(values.buffer);
  const stateDigest = createHash('sha256').update(bytes).digest('hex');
  const value = { step: 8n, length: BigInt(length), stateDigest, parameterDigest: 'p', tensors: [] };
  const header = { part: { $case: 'header' as const, value } };
  return { values, bytes, header, stateDigest };
}

function data(value: Uint8Array): StateChunk {
  return { part: { $case: 'data', value } };
}

function cut(bytes: Buffer, chunkBytes: number): StateChunk[] {
  const count = Math.ceil(bytes.length / chunkBytes);
  return Array.from({ length: count }, (_, index) =>
    data(bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
  );
}

async function serveChunks(chunks: readonly StateChunk[]): Promise<string> {
  const server = await servePeerState((call) => {
    for (const chunk of chunks) call.write(chunk);
    call.end();
  });
  servers.push(server);
  return server.address;
}

const request = () => ({
  ...{ credentials: testCredentials, holderId: 'worker-0', generation: 3n, step: 8, stallMs: 60_000 },
  signal: new AbortController().signal,
});

describe('pullState', () => {
  it.each([
    [0, 1_024],
    [1, 1_024],
    [1_000, 3],
    [3_000_000, 1 << 20],
  ])('brings %i values in chunks of %i bytes, bit for bit', async (length, chunkBytes) => {
    const state = makeState(length);
    const address = await serveChunks([state.header, ...cut(state.bytes, chunkBytes)]);
    const { header, values } = await pullState(address, request());
    expect(header.stateDigest).toBe(state.stateDigest);
    expect(Buffer.from(values.buffer).equals(state.bytes)).toBe(true);
  });

  it('asks for the generation and the step it is given', async () => {
    const state = makeState(2);
    const asked: unknown[] = [];
    const server = await servePeerState((call) => {
      asked.push(call.request);
      call.write(state.header);
      call.write(data(state.bytes));
      call.end();
    });
    servers.push(server);
    await pullState(server.address, request());
    expect(asked).toEqual([{ generation: 3n, step: 8n, flat: true }]);
  });

  const { header, bytes } = makeState(100);
  const bent = Buffer.from(bytes);
  bent.writeUInt8(bent.readUInt8(17) ^ 1, 17);
  it.each([
    ['bent by one bit', [header, data(bent)], /digest/],
    ['cut short', [header, data(bytes.subarray(4))], /ends after 396 of 400/],
    ['too long', [header, data(bytes), data(Buffer.alloc(4))], /longer than its header/],
    ['headless', [data(bytes)], /no header/],
    ['empty', [], /no header/],
    ['two-headed', [header, header], /two headers/],
  ])('does not take a state that is %s', async (_, chunks, reason) => {
    const address = await serveChunks(chunks);
    await expect(pullState(address, request())).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(reason),
    });
  });

  it('does not take the state of another step', async () => {
    const address = await serveChunks([header, data(bytes)]);
    await expect(pullState(address, { ...request(), step: 9 })).rejects.toThrow(/of step 8, not of step 9/);
  });

  it('does not reserve the memory of a lying header', async () => {
    const huge = { ...header.part.value, length: 1n << 60n };
    const address = await serveChunks([{ part: { $case: 'header', value: huge } }]);
    await expect(pullState(address, request())).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  it('carries what the worker answers', async () => {
    const server = await servePeerState((call) => {
      call.emit('error', toGrpc(new RondoError('aborted', 'that generation is over')));
    });
    servers.push(server);
    await expect(pullState(server.address, request())).rejects.toMatchObject({
      code: 'aborted',
      message: 'that generation is over',
    });
  });

  it('gives up on a worker that sends nothing', async () => {
    const server = await servePeerState((call) => call.write(header));
    servers.push(server);
    await expect(pullState(server.address, { ...request(), stallMs: 100 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: `${server.address} sent no state for 0.1 s`,
    });
  });

  it('gives up on a worker that is gone', async () => {
    const server = await servePeerState(() => {});
    server.close();
    await expect(pullState(server.address, request())).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends when it is cancelled, and lets the worker know', async () => {
    const controller = new AbortController();
    const enough = new RondoError('cancelled', 'enough');
    let tell = () => {};
    const told = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const server = await servePeerState((call) => {
      call.write(header);
      call.on('cancelled', tell);
      controller.abort(enough);
    });
    servers.push(server);
    const options = { ...request(), signal: controller.signal };
    await expect(pullState(server.address, options)).rejects.toBe(enough);
    await told;
    await expect(pullState(server.address, options)).rejects.toBe(enough);
  });
});
