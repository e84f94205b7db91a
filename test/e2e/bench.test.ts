import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const run = promisify(execFile);
let cache: string;

beforeAll(() => {
  cache = mkdtempSync(path.join(tmpdir(), 'rondo-bench-cache-'));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** The report of a bench that measures next to nothing. */
async function reportOf(name: string, options: string): Promise<Record<string, unknown>> {
  const args = [program, name, ...options.split(' '), '--json'];
  const env = { ...process.env, RONDO_CACHE: cache };
  const { stdout } = await run(process.execPath, args, { env, maxBuffer: 1 << 24 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

const positive = { p10: expect.toSatisfy(isPositive), median: expect.toSatisfy(isPositive) };

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

const network = '--arch resnet18 --sizes 32 --batch 4 --workers 1x1 --steps 1 --repeats 1';

describe('npm run bench', () => {
  it('measures training steps, frozen ones beside them', async () => {
    const { results } = await reportOf('step', network);
    const [rondo, frozen] = (results as { implementations: unknown[] }[])[0]!.implementations;
    expect(rondo).toMatchObject({ name: 'rondo', work: 'all', ratio: null });
    expect(frozen).toMatchObject({
      name: 'rondo',
      work: 'frozen',
      ratio: { speed: positive, cpu: positive },
    });
  });

  it('measures predictions', async () => {
    const { results } = await reportOf('predict', network);
    expect(results).toMatchObject([
      { size: 32, implementations: [{ work: 'predict', imagesPerSecond: positive }] },
    ]);
  });

  it('measures the loader', async () => {
    const { results } = await reportOf('loader', '--images 8 --presize 64 --micro-batch 2 --rounds 1');
    const passes = results as { imagesPerSecond: unknown }[];
    expect(passes).toHaveLength(3);
    for (const { imagesPerSecond } of passes) expect(imagesPerSecond).toMatchObject(positive);
  });

  it('measures the ring', async () => {
    const ways = '--ways vectors,slots,sockets-tls,grpc';
    const { results } = await reportOf(
      'all-reduce',
      `--ranks 2 --megabytes 0.1 ${ways} --rounds 2 --repeats 1`,
    );
    const rings = results as { name: string; busbw: unknown }[];
    expect(rings.map(({ name }) => name)).toEqual([
      ...['rondo', 'rondo'],
      ...['rondo, ring through memory', 'rondo, ring through memory'],
      ...['rondo, ring over sockets, TLS', 'rondo, ring over sockets, TLS'],
      ...['rondo, ring over gRPC', 'rondo, ring over gRPC'],
    ]);
    for (const { busbw } of rings) expect(busbw).toMatchObject(positive);
  });

  it('measures whole runs, and where the time of their steps goes', async () => {
    const { results } = await reportOf(
      'scaling',
      '--workers 2 --arch resnet18 --size 32 --batch 16 --images 96 --repeats 1',
    );
    const [result] = results as {
      imagesPerSecond: unknown;
      shares: Record<string, { median: number }>;
      peer: null;
    }[];
    expect(result).toMatchObject({
      workers: 2,
      imagesPerSecond: { firstEpoch: positive, laterEpoch: positive },
    });
    const { ringHidden: _, ...shares } = result!.shares;
    const total = Object.values(shares).reduce((sum, { median }) => sum + median, 0);
    expect(total).toBeCloseTo(1, 9);
  });

  it('measures starts', async () => {
    const { arrivals } = await reportOf('start-up', '--workers 1 --repeats 1');
    const { prepared, waiting, assigned, step } = arrivals as Record<string, { median: number }>;
    const inOrder = [prepared, waiting, assigned, step].map((each) => each!.median);
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
  });

  it('tells how each is called', async () => {
    const { stdout } = await run(process.execPath, [program, 'loader', '--help']);
    expect(stdout).toMatch(/^Usage: npm run bench -- loader .*--rounds 5/);
  });

  it('refuses what is no bench, naming those that are', async () => {
    await expect(run(process.execPath, [program, 'speed'])).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /there is no bench speed[\s\S]*all-reduce \| device \| loader \| overlap/,
      ),
    });
  });
});
