import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TransferSources } from '../../../coordinator/cluster/transfers.js';
import { type Dataset, decodeDataset } from '../../../proto/dataset.js';
import { CoordinatorClient, DatasetChunk, type StateChunk } from '../../../proto/gen/coordinator.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import type { GrpcServer } from '../../../runtime/grpc/server.js';
import { testCredentials } from '../../support/credentials.js';
import { serveCoordinator } from '../../support/serve-coordinator.js';

let folder: string;
let server: GrpcServer | undefined;
let client: CoordinatorClient;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rondo-transfers-'));
});
afterEach(async () => {
  client.close();
  server?.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function serve(sources: Partial<TransferSources>): Promise<void> {
  server = await serveCoordinator('127.0.0.1:0', sources);
  client = openChannel(CoordinatorClient, server.address, {
    credentials: testCredentials,
    peer: 'anybody',
    maxReceiveBytes: 1 << 30,
  });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of stream) all.push(message);
  return all;
}

function chunk(value: Uint8Array): StateChunk {
  return { part: { $case: 'data', value } };
}

describe('fetchDataset', () => {
  it('sends an index of any size in pieces of about a mebibyte', async () => {
    const train = Array.from({ length: 60_000 }, (_, id) => ({
      path: `class-${id % 10}/a-rather-long-file-name-${id}.jpg`,
      label: id % 10,
      width: 640,
      height: 480,
      digest: createHash('sha256').update(String(id)).digest('hex'),
    }));
    const valid = train.slice(0, 3);
    const dataset: Dataset = { root: '/data', classes: ['a'], train, valid, digest: 'd' };
    await serve({ dataset });
    const sizes: number[] = [];
    const received = await decodeDataset(measure(client.fetchDataset({}), sizes));
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThan(1.1 * 2 ** 20);
    expect(received.train.length).toBe(train.length);
    for (let id = 0; id < train.length; id += 997) expect(received.train.at(id)).toEqual(train[id]);
    expect([...received.valid]).toEqual(valid);
  });
});

async function* measure(chunks: AsyncIterable<DatasetChunk>, sizes: number[]): AsyncGenerator<DatasetChunk> {
  for await (const chunk of chunks) {
    sizes.push(DatasetChunk.encode(chunk).finish().length);
    yield chunk;
  }
}

describe('fetchPretrained', () => {
  it('streams the file as it is, in chunks of at most a mebibyte', async () => {
    const bytes = randomBytes(3_000_001);
    const path = join(folder, 'weights.safetensors');
    await writeFile(path, bytes);
    await serve({ pretrainedPath: path });
    const chunks = await collect(client.fetchPretrained({}) as AsyncIterable<{ data: Uint8Array }>);
    expect(chunks.length).toBe(3);
    expect(Buffer.concat(chunks.map(({ data }) => data)).equals(bytes)).toBe(true);
  });

  it.each([
    ['there is none', null],
    ['the file is gone', '/nowhere/weights.safetensors'],
  ])('says not-found when %s', async (_, pretrainedPath) => {
    await serve({ pretrainedPath });
    await expect(collect(client.fetchPretrained({}))).rejects.toMatchObject({ code: status.NOT_FOUND });
  });
});

describe('fetchCheckpoint', () => {
  it('streams what the caller yields for the step', async () => {
    await serve({
      checkpoint: async function* (step) {
        for (let index = 0; index < 3; index += 1) yield chunk(Uint8Array.of(step, index));
      },
    });
    const chunks = (await collect(client.fetchCheckpoint({ step: 5n }))) as StateChunk[];
    const bytes = chunks.map(({ part }) => (part?.$case === 'data' ? [...part.value] : null));
    expect(bytes).toEqual([
      [5, 0],
      [5, 1],
      [5, 2],
    ]);
  });

  it('carries the caller’s error', async () => {
    await serve({
      checkpoint: async function* () {
        yield chunk(Uint8Array.of(1));
        throw new RondoError('data-loss', 'the checkpoint is corrupt');
      },
    });
    await expect(collect(client.fetchCheckpoint({ step: 0n }))).rejects.toMatchObject({
      code: status.DATA_LOSS,
      details: 'the checkpoint is corrupt',
    });
  });

  it('runs no faster than its reader, and ends when the reader goes away', async () => {
    let produced = 0;
    let ended = () => {};
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    await serve({
      checkpoint: async function* () {
        try {
          for (; produced < 1_000; produced += 1) yield chunk(new Uint8Array(1 << 20));
        } finally {
          ended();
        }
      },
    });
    const call = client.fetchCheckpoint({ step: 0n });
    call.on('error', () => {});
    await new Promise((resolve) => call.once('data', resolve));
    call.pause();
    // It must come to rest far from its end.
    let before = -1;
    while (produced > before) {
      before = produced;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(produced).toBeLessThan(100);
    call.cancel();
    await end;
    expect(produced).toBeLessThan(100);
  });
});
