import { chmodSync, copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { mustRun, runCommand } from '../setup/run-command.mjs';

const name = 'localhost/rondo/base:bookworm';
const packages = ['ca-certificates', 'libstdc++6', 'tini'];

/**
 * A base image from Debian's packages and the Node of this machine, for where no registry is reached. One that is
 * there already is taken.
 *
 * @param {{ command: string, args: readonly string[] }} engine
 * @param {string} folder to work in
 * @param {import('../setup/report.mjs').Report} report
 * @returns {Promise<string>} its name
 */
export async function importBase(engine, folder, report) {
  const call = [...engine.args, 'image', 'inspect', name];
  if ((await runCommand(engine.command, call)).code === 0) return name;
  if (process.getuid?.() !== 0 || !existsSync('/usr/sbin/debootstrap')) {
    throw new SetupError('--debootstrap needs root and debootstrap.', '`apt-get install debootstrap`');
  }
  report.say(`images: making ${name} from Debian's packages …`);
  const tree = join(folder, 'debian');
  await mustRun('debootstrap', ['--variant=minbase', `--include=${packages.join(',')}`, 'bookworm', tree], {
    doing: 'debootstrap',
    remedy: "It needs Debian's package server.",
  });
  const node = join(tree, 'usr/local/bin/node');
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
  const archive = join(folder, 'base.tar');
  await mustRun('tar', ['-C', tree, '-cf', archive, '--exclude=./var/cache/apt/*.bin', '.'], {
    doing: 'Packing the base',
    remedy: 'Check that the disk has room.',
  });
  await mustRun(engine.command, [...engine.args, 'import', archive, name], {
    doing: `Importing ${name}`,
    remedy: 'Check that the disk has room.',
  });
  return name;
}
