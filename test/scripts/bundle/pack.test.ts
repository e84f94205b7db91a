import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = (name: string) => new URL(`../../../scripts/bundle/${name}`, import.meta.url).pathname;
const pieceBytes = 4000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-pack-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Bytes that do not compress, the same every time. */
const noise = Buffer.concat(
  Array.from({ length: 300 }, (_, i) => createHash('sha256').update(String(i)).digest()),
);

/** A bundle of a few files in `folder/bundle`. */
function makeBundle(more: readonly object[] = [], about: object = {}): string {
  const [data, tool, bundle] = [join(folder, 'data'), join(folder, 'tool'), join(folder, 'bundle')];
  writeFileSync(data, Buffer.concat([noise, Buffer.alloc(300_000), noise]));
  writeFileSync(tool, '#!/bin/sh\necho here\n');
  chmodSync(tool, 0o755);
  const entries = [
    { path: 'bin/tool', file: tool },
    { path: 'app/data', file: data },
    { path: 'app/link', link: '../bin/tool' },
    { path: 'runtime/note', text: 'é\n' },
    { path: 'bundle.json', text: '{}' },
    ...more,
  ];
  const printed = execFileSync('python3', [script('pack.py'), bundle, String(pieceBytes), '0'], {
    input: JSON.stringify(entries),
    encoding: 'utf8',
  });
  const packed = JSON.parse(printed.trim().split('\n').at(-1)!) as object;
  const machine = arch() === 'arm64' ? 'aarch64' : 'x86_64';
  const manifest = { format: 1, machine, cuda: null, cudaLibraries: [], ...about, ...packed };
  writeFileSync(join(bundle, 'bundle.json'), JSON.stringify(manifest));
  copyFileSync(script('unpack.py'), join(bundle, 'unpack.py'));
  return bundle;
}

async function unpack(bundle: string, ...options: string[]): Promise<{ code: number; output: string }> {
  const args = ['-I', join(bundle, 'unpack.py'), join(folder, 'rondo'), ...options];
  try {
    const { stdout, stderr } = await promisify(execFile)('python3', args);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as ExecFileException & { stdout: string; stderr: string };
    return { code: Number(code), output: stdout + stderr };
  }
}

describe('pack.py and unpack.py', () => {
  it('give back what was packed: bytes, modes, links', async () => {
    const bundle = makeBundle();
    const pieces = readdirSync(bundle).filter((name) => name.startsWith('piece-'));
    expect(pieces.length).toBeGreaterThan(2);
    for (const name of pieces) expect(statSync(join(bundle, name)).size).toBeLessThanOrEqual(pieceBytes);
    expect(await unpack(bundle)).toMatchObject({ code: 0, output: expect.stringContaining('Rondo is in') });
    const rondo = join(folder, 'rondo');
    expect(readFileSync(join(rondo, 'app/data'))).toEqual(readFileSync(join(folder, 'data')));
    expect(execFileSync(join(rondo, 'app/link'), { encoding: 'utf8' })).toBe('here\n');
    expect(readlinkSync(join(rondo, 'app/link'))).toBe('../bin/tool');
    expect(readFileSync(join(rondo, 'runtime/note'), 'utf8')).toBe('é\n');
    expect(statSync(join(rondo, 'runtime/note')).mode & 0o111).toBe(0);
  });

  it('the same entries give the same bytes', () => {
    const digest = () => readFileSync(join(makeBundle(), 'bundle.json'), 'utf8');
    expect(digest()).toBe(digest());
  });

  it("replaces what an earlier bundle left, and nothing of the user's", async () => {
    const bundle = makeBundle();
    await unpack(bundle);
    const rondo = join(folder, 'rondo');
    writeFileSync(join(rondo, 'app', 'stale'), '');
    mkdirSync(join(rondo, 'runs'));
    writeFileSync(join(rondo, 'runs', 'mine'), '');
    expect((await unpack(bundle)).code).toBe(0);
    expect(readdirSync(rondo).sort()).toEqual(['app', 'bin', 'bundle.json', 'runs', 'runtime']);
    expect(readdirSync(join(rondo, 'app')).sort()).toEqual(['data', 'link']);
    expect(existsSync(join(rondo, 'runs', 'mine'))).toBe(true);
  });

  it.each([
    [
      'other bytes than were packed',
      (file: string) => writeFileSync(file, readFileSync(file).fill(7, 100, 101)),
    ],
    ['1000 of 4000 bytes', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 1000))],
    ['No such file', (file: string) => rmSync(file)],
  ])('names a piece that did not arrive whole: %s', async (problem, damage) => {
    const bundle = makeBundle();
    damage(join(bundle, 'piece-001'));
    const { code, output } = await unpack(bundle);
    expect(code).toBe(1);
    expect(output).toContain('carry these pieces over again');
    expect(output).toContain(`piece-001: ${problem}`);
    expect(output).not.toContain('piece-000');
    expect(readdirSync(join(folder, 'rondo'))).toEqual([]);
  });

  it.each([
    [{ path: '../outside', text: 'x' }, 'leads out of the folder'],
    [{ path: 'app/out', link: '../../../outside' }, 'links out of the folder'],
  ])('writes nothing beside its folder: %j', async (evil, message) => {
    const { code, output } = await unpack(makeBundle([evil]));
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(existsSync(join(folder, 'outside'))).toBe(false);
  });

  it('says for which machine a bundle is', async () => {
    const { code, output } = await unpack(makeBundle([], { machine: 'sparc' }));
    expect(code).toBe(1);
    expect(output).toContain('This bundle is for Linux on sparc');
  });
});

describe("unpack.py and the machine's CUDA libraries", () => {
  const wanted = { cuda: 'host', cudaLibraries: ['libcublas.so.12', 'libcufft.so.11', 'libcudnn.so.9'] };

  function cudaFolder(...names: string[]): string {
    const cuda = join(folder, 'cuda');
    mkdirSync(cuda);
    for (const name of names) writeFileSync(join(cuda, name), '');
    return cuda;
  }

  it('links names that differ to the next later version, and tells the loader where they are', async () => {
    const cuda = cudaFolder(
      'libcublas.so.14',
      'libcublas.so.13',
      'libcublas.so.11',
      'libcufft.so.12',
      'libcudnn.so.9',
    );
    expect(await unpack(makeBundle([], wanted), '--cuda', cuda)).toMatchObject({ code: 0 });
    const runtime = join(folder, 'rondo', 'runtime');
    expect(readdirSync(join(runtime, 'cuda')).sort()).toEqual(['libcublas.so.12', 'libcufft.so.11']);
    expect(readlinkSync(join(runtime, 'cuda', 'libcublas.so.12'))).toBe(join(cuda, 'libcublas.so.13'));
    expect(readFileSync(join(runtime, 'library-path'), 'utf8').split(':')).toContain(cuda);
  });

  it('names what is missing before it unpacks', async () => {
    const cuda = cudaFolder('libcufft.so.12', 'libcudnn.so.8');
    const { code, output } = await unpack(makeBundle([], wanted), '--cuda', cuda);
    expect(code).toBe(1);
    expect(output).toMatch(/This machine lacks libcublas.so.12, libcudnn.so.9; searched:/);
    expect(output).toContain(cuda);
    expect(output).toContain('--cuda bundled');
    expect(readdirSync(join(folder, 'rondo'))).toEqual([]);
  });
});
