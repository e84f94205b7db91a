import { describe, expect, it } from 'vitest';
import { openBenches, positive, runBench } from '../support/bench-report.js';

const reportOf = openBenches();

describe('npm run bench', () => {
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
