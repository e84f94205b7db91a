import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { buildProgram } from '../../../coordinator/cli/program.js';
import { fakeRun } from '../../support/fake-run.js';
import { makeFolder } from '../../support/images.js';
import { memoryOutput } from '../../support/memory-output.js';
import { drawTinyFolder } from '../../support/tiny-folder.js';

async function pack(...inputs: string[]): Promise<{ code: number | null; lines: string[] }> {
  const output = memoryOutput();
  let code: number | null = null;
  const never = new AbortController().signal;
  const program = buildProgram({
    services: fakeRun().services,
    output,
    argv: ['node', 'coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: (value) => {
      code = value;
    },
  });
  await program.parseAsync(['node', 'coordinator', 'pack', ...inputs]);
  return { code, lines: output.lines() };
}

async function makePhotos(): Promise<string> {
  const data = await drawTinyFolder(4);
  onTestFinished(() => rmSync(data, { recursive: true }));
  return data;
}

describe('coordinator pack', () => {
  beforeEach(async () => {
    vi.stubEnv('RONDO_CACHE', await makeFolder());
    onTestFinished(() => void vi.unstubAllEnvs());
  });

  it('says what it packed, where, and what was there already', async () => {
    const data = await makePhotos();
    const out = path.join(await makeFolder(), 'my packs');
    expect(await pack(data, '--out', out)).toEqual({
      code: 0,
      lines: [
        expect.stringMatching(/^12 images of 3 classes in 1 shard \(0\.\d MB\)$/),
        `all of it is in '${out}'`,
      ],
    });
    expect((await pack(data, '--out', out)).lines[0]).toMatch(/MB\), 1 of which were there already$/);
    const { lines } = await pack(data, '--out', out, '--json');
    expect(lines.map((line) => JSON.parse(line)).at(-1)).toMatchObject({
      ...{ kind: 'packed', out, images: 12, classes: 3, quarantined: 0, found: 1 },
      shards: [{ name: 'images-000000.tar', set: null, samples: 12 }],
    });
  });

  it('names files that are left out, also those whose names are not UTF-8', async () => {
    const data = await makePhotos();
    const name = Buffer.concat([Buffer.from(`${data}/red/caf`), Buffer.from([0xe9]), Buffer.from('.jpg')]);
    writeFileSync(name, 'x');
    const out = await makeFolder();
    await expect(pack(data, '--out', out)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('red/caf\\xE9.jpg has a name that is not UTF-8'),
      remedy: expect.stringContaining('--skip-broken'),
    });
    expect(await pack(data, '--out', out, '--skip-broken')).toEqual({
      code: 0,
      lines: [
        '1 file left out as unusable:',
        '  red/caf\\xE9.jpg has a name that is not UTF-8',
        expect.stringContaining('12 images of 3 classes'),
        `all of it is in ${out}`,
      ],
    });
    const { lines } = await pack(data, '--out', out, '--skip-broken', '--json');
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ kind: 'quarantined', path: 'red/caf\\xE9.jpg' }),
    );
  });

  it.each([
    [
      ['--out', 'https://host/x'],
      2,
      /https:\/\/host\/x is not written to/,
      /pack into a folder and copy that/,
    ],
    [['--out', 'OTHER'], 3, /is not empty: it holds notes.txt/, /give --out an empty folder or a new one/],
    [['--out', 'OTHER/notes.txt'], 2, /notes\.txt is no folder/, /give --out a folder/],
    [
      ['--out', 'PACKED', '--order', 'sorted'],
      3,
      /holds a pack of --order shuffled, --seed 42/,
      /or remove /,
    ],
    [['--out', 'PACKED', '--resize', '8'], 3, /holds a pack of --resize not given/, /or remove /],
  ])('refuses %j', async (inputs, exitCode, message, remedy) => {
    const data = await makePhotos();
    const [other, packed] = [await makeFolder(), await makeFolder()];
    writeFileSync(path.join(other, 'notes.txt'), '');
    await pack(data, '--out', packed);
    const given = inputs.map((input) => input.replace('OTHER', other).replace('PACKED', packed));
    await expect(pack(data, ...given)).rejects.toMatchObject({
      ...{ exitCode, message: expect.stringMatching(message), remedy: expect.stringMatching(remedy) },
    });
  });

  it.each([
    [['--shard-size', '256'], /must be a size from 64KiB to 1TiB, such as 256MiB or 1GB/],
    [['--shard-size', '1KiB'], /must be a size from 64KiB/],
    [['--shard-size', '5XB'], /must be a size from 64KiB/],
    [['--order', 'random'], /Allowed choices are shuffled, class-balanced, sorted/],
    [['--quality', '101'], /must be a whole number from 1 to 100/],
    [[], /required option '--out <DIR\|s3:\/\/…>' not specified/],
  ])('refuses %j as no use of it', async (inputs, message) => {
    const out = inputs.length === 0 ? [] : ['--out', await makeFolder()];
    await expect(pack('photos', ...out, ...inputs)).rejects.toThrow(message);
  });
});
