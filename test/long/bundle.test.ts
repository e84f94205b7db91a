import { execFile, execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const execute = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const mebibyte = 2 ** 20;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-bundle-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the programs of a bundle take from the system: the loader, glibc, libstdc++. */
function systemLibraries(...files: string[]): string[] {
  const listed = files.flatMap((file) => execFileSync('ldd', [file], { encoding: 'utf8' }).split('\n'));
  const paths = listed.map((line) => /(\/\S+) \(0x/.exec(line)?.[1]).filter((path) => path !== undefined);
  return [...new Set(paths)].filter((path) => /^\/(usr\/)?lib/.test(path));
}

/** A root with a shell, three of its tools and the libraries above: no Node, no package, no Python. */
function layRoot(root: string, programs: readonly string[]): void {
  for (const name of ['bin', 'proc', 'dev', 'tmp', 'runs']) mkdirSync(join(root, name), { recursive: true });
  const tools = ['sh', 'dirname', 'readlink', 'cat'].map((name) => {
    const tool = realpathSync(execFileSync('which', [name], { encoding: 'utf8' }).trim());
    copyFileSync(tool, join(root, 'bin', name));
    return tool;
  });
  for (const library of systemLibraries(...tools, ...programs)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(realpathSync(library), join(root, library));
  }
}

test.skipIf(!isRoot)('a bundle trains the sample set in an empty root, without a network', async () => {
  const [bundle, root] = [join(folder, 'bundle'), join(folder, 'root')];
  await execute('node', ['scripts/bundle.mjs', '--out', bundle, '--fast', '--piece-size', '64MiB']);
  const pieces = readdirSync(bundle).filter((name) => name.startsWith('piece-'));
  expect(pieces.length).toBeGreaterThan(1);
  expect(readdirSync(bundle).sort()).toEqual(['bundle.json', ...pieces.sort(), 'unpack.py']);

  const python = execFileSync('which', ['python3'], { encoding: 'utf8' }).trim();
  await execute(python, ['-I', join(bundle, 'unpack.py'), join(root, 'rondo')], { env: {} });
  rmSync(bundle, { recursive: true });
  const rondo = join(root, 'rondo');
  const native = readdirSync(rondo, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\.(node|so[.\d]*)$/.test(name) && !name.includes('tfjs'),
  );
  layRoot(
    root,
    ['bin/node', ...native].map((name) => join(rondo, name)),
  );

  const start =
    '/rondo/bin/coordinator start --workers 2 --epochs 1 --arch resnet18 --size 32 --run-dir /runs --name offline';
  const inside = `ip link set lo up && mount -t proc proc ${root}/proc && mount --rbind /dev ${root}/dev && exec chroot ${root} ${start}`;
  const { stdout } = await execute('unshare', ['--mount', '--net', 'sh', '-c', inside], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp' },
    maxBuffer: 16 * mebibyte,
  });
  const run = join(root, 'runs', 'offline');
  expect(stdout).toContain('offline');
  expect(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'))).toMatchObject({ status: 'completed' });
  expect(existsSync(join(run, 'checkpoints'))).toBe(true);
});
