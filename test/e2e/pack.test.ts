import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Exit,
  killCoordinators,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { digestFolder } from '../support/packing.js';
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
});
