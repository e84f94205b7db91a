import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Exit,
  killCoordinators,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { startFileServer } from '../support/file-server.js';
import { digestFolder, packFolder } from '../support/packing.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { mountTinyDisk, whyWithoutTinyDisk } from '../support/tiny-disk.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

let data: string;
let work: string;
let environment: Record<string, string>;

beforeAll(async () => {
  work = mkdtempSync(path.join(tmpdir(), 'rondo-pack-'));
  environment = { RONDO_CACHE: path.join(work, 'cache') };
  data = await drawTinyFolder(60, 120);
});
afterEach(killCoordinators);
afterAll(() => {
  for (const folder of [work, data]) rmSync(folder, { recursive: true, force: true });
});

const pack = (out: string, ...more: string[]) => [
  'pack',
  data,
  '--out',
  out,
  '--shard-size',
  '64KiB',
  ...more,
];

/** Waits until a folder holds a file; resolves to false if `ended` comes first. */
async function holdsBefore(ended: Promise<unknown>, folder: string, name: string): Promise<boolean> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over) {
    if (readdirSync(folder).includes(name)) return true;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return false;
}

describe('coordinator pack', () => {
  it('ends at the same bytes however often it is killed or stopped', async () => {
    const whole = path.join(work, 'whole');
    const { code, stdout, events } = await runCoordinator(pack(whole, '--json'), environment);
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({
      kind: 'packed',
      images: 180,
      classes: 3,
      quarantined: 0,
      found: 0,
    });
    expect(
      stdout
        .trim()
        .split('\n')
        .every((line) => line.startsWith('{')),
    ).toBe(true);
    const shards = events.at(-1)!.shards as readonly { name: string }[];
    expect(shards.length).toBeGreaterThan(10);

    const out = path.join(work, 'killed');
    mkdirSync(out);
    const ends: Exit[] = [];
    for (const [share, signal] of [
      [0, 'SIGKILL'],
      [0.6, 'SIGINT'],
    ] as const) {
      const process = startCoordinator(pack(out), environment);
      const { name } = shards[Math.floor(share * shards.length)]!;
      if (await holdsBefore(process.exited, out, name)) process.kill(signal);
      ends.push(await process.exited);
    }
    // On a busy machine one may have ended before the signal came.
    const stopped = ends.filter(({ code }) => code === 130);
    for (const { stderr } of stopped) {
      expect(stderr).toMatch(/stopped by SIGINT\n {2}the same command goes on after the shards/);
    }
    const others = ends.filter(({ code, signal }) => code !== 130 && signal !== 'SIGKILL');
    expect(others.map(({ code }) => code)).toEqual(others.map(() => 0));
    const last = await runCoordinator(pack(out, '--json'), environment);
    expect(last.code).toBe(0);
    expect(last.events.at(-1)!.found).toBeGreaterThan(0);
    expect(await digestFolder(out)).toEqual(await digestFolder(whole));
  });

  it.skipIf(whyWithoutTinyDisk)('says that the disk is full, and goes on when there is room', async () => {
    const whole = path.join(work, 'whole');
    const bytes = readdirSync(whole).reduce((sum, name) => sum + statSync(path.join(whole, name)).size, 0);
    const disk = mountTinyDisk(Math.ceil(bytes / 1024) + 1024);
    writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(bytes));
    const out = path.join(disk, 'packed');
    const full = await runCoordinator(pack(out), environment);
    expect([full.code, full.stderr]).toEqual([
      1,
      expect.stringMatching(
        /there is no room to write \S+\.(tar|index)\n {2}free some space in \S+; then the same command goes on after the shards that are finished/,
      ),
    ]);
    rmSync(path.join(disk, 'ballast'));
    const { code, events } = await runCoordinator(pack(out, '--json'), environment);
    expect([code, events.at(-1)!.found]).toEqual([0, expect.toSatisfy((found: number) => found > 0)]);
    expect(await digestFolder(out)).toEqual(await digestFolder(whole));
  });

  it('is trained on over HTTP to the same bits as the folder', async () => {
    const runs = openQuickRuns();
    try {
      const packed = path.join(work, 'trained-on');
      await packFolder(data, packed);
      const files = readdirSync(packed).map(
        (name) => [`/packed/${name}`, readFileSync(path.join(packed, name))] as const,
      );
      const server = await startFileServer(Object.fromEntries(files));
      const login = `Basic ${Buffer.from('ann:s3cret').toString('base64')}`;
      server.fault = (_request, { url, headers }) =>
        headers.authorization === login && url?.endsWith('?sig=s1gned') ? undefined : { status: 401 };
      const url = `${server.url.replace('//', '//ann:s3cret@')}/packed?sig=s1gned`;
      // A cache of its own: else the decoded images of the folder are found, and nothing is fetched.
      const train = (name: string, from: string, workers: string) =>
        runCoordinator(runs.start(name, from, '--epochs', '1', '--threads', '1', '--workers', workers), {
          RONDO_CACHE: path.join(work, `cache-${name}`),
          RONDO_LOG: 'debug',
        });
      expect((await train('folder', data, '1')).code).toBe(0);
      const { code, events, stdout: told, stderr: logged } = await train('packed', url, '2');
      expect(code).toBe(0);
      expect(events.filter(({ phase }) => phase === 'verifying')).toEqual([]);
      const [own, other] = [runs.run('packed'), runs.run('folder')];
      // The index and each image once, but for answers so slow that they were asked for twice: a few in a hundred.
      expect(new Set(server.requests.map(({ path, range }) => `${path} ${range}`)).size).toBe(181);
      expect(server.requests.length).toBeLessThanOrEqual(181 + 3 * (1 + 0.05 * 181));
      const samplesOf = (run: string) => readCommittedSteps(run).map(({ shares }) => shares.flat());
      expect(samplesOf(own)).toEqual(samplesOf(other));
      expect(samplesOf(own).flat()).toHaveLength(144);
      const digestOf = (run: string) => readSummaryFile(run).parameterDigest;
      expect(digestOf(own)).toMatch(/^[0-9a-f]{64}$/);
      expect(digestOf(own)).toBe(digestOf(other));
      expect(readFileSync(path.join(own, 'report', 'index.html'), 'utf8')).toContain('data:image/jpeg');

      // What proves the right to read is nowhere, and must be given again.
      const names = readdirSync(own, { recursive: true, encoding: 'utf8' });
      const written = names.map((name) => path.join(own, name)).filter((file) => statSync(file).isFile());
      const texts = [told, logged, ...written.map((file) => readFileSync(file, 'latin1'))];
      expect(texts.filter((text) => /s3cret|s1gned/.test(text) || text.includes(login))).toEqual([]);
      expect(readFileSync(path.join(own, 'run.json'), 'utf8')).toContain(`"data": "${server.url}/packed"`);
      const look = (env: Record<string, string>, ...more: string[]) =>
        runCoordinator(['verify-run', 'packed', '--run-dir', runs.root, ...more], env);
      const refused = await look({});
      expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('RONDO_DATA_ACCESS')]);
      const ends = [await look({ RONDO_DATA_ACCESS: url }), await look({}, '--data', url)];
      expect(ends.map(({ stdout, stderr }) => stdout + stderr)).toEqual(
        Array(2).fill(expect.stringContaining('180 images unchanged')),
      );

      const { code: verified, stdout } = await runCoordinator(
        ['verify-run', 'folder', '--data', packed, '--run-dir', runs.root],
        environment,
      );
      expect([verified, stdout]).toEqual([0, expect.stringContaining('180 images unchanged')]);
    } finally {
      runs.remove();
    }
  });
});
