import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = path.join(here, '../../..');
export const podman = ['--runtime', '/usr/sbin/runc'];

/**
 * Builds Rondo's images, as `npm run images` does, and those of the cluster itself, and writes them into a folder as archives.
 *
 * @param coredns the program.
 */
export async function buildImages(folder: string, coredns: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const script = path.join(root, 'scripts/images.mjs');
  await run(process.execPath, [script, '--engine', 'podman', '--debootstrap', '--out', folder]);

  const context = mkdtempSync(path.join(tmpdir(), 'rondo-images-'));
  try {
    const pause = path.join(context, 'pause');
    await run('gcc', ['-static', '-Os', '-s', '-o', pause, path.join(here, '../programs/pause.c')]);
    copyFileSync(coredns, path.join(context, 'coredns'));
    for (const name of ['pause', 'coredns']) await buildFromProgram(context, name, folder);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** An image of nothing but one static program. */
async function buildFromProgram(context: string, name: string, out: string): Promise<void> {
  const dockerfile = path.join(context, `Dockerfile.${name}`);
  writeFileSync(dockerfile, `FROM scratch\nCOPY ${name} /${name}\nENTRYPOINT ["/${name}"]\n`);
  const tag = `localhost/${name}:1`;
  await run('podman', [...podman, 'build', '--quiet', '--file', dockerfile, '--tag', tag, context]);
  const archive = path.join(out, `${name}.tar`);
  if (existsSync(archive)) rmSync(archive);
  await run('podman', [...podman, 'save', '--format', 'docker-archive', '--output', archive, tag]);
}
