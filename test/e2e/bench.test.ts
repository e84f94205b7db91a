import { describe, expect, it } from 'vitest';
import { openBenches, positive, runBench } from '../support/bench-report.js';

const reportOf = openBenches();
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

  it('tells how each is called', async () => {
    const { stdout } = await runBench(['loader', '--help']);
    expect(stdout).toMatch(/^Usage: npm run bench -- loader .*--rounds 5/);
  });

  it('refuses what is no bench, naming those that are', async () => {
    await expect(runBench(['speed'])).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /there is no bench speed[\s\S]*all-reduce \| device \| loader \| overlap/,
      ),
    });
  });
});
