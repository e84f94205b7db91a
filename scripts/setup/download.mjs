import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { makeFolder } from './files.mjs';
import { formatBytes } from './report.mjs';
import { mustRun } from './run-command.mjs';

const pollMs = 500;

/**
 * Fetches wheels by pip's own client, so that its index, proxies and certificates are the user's. What a
 * `folder` already holds, and its digest confirms, is not fetched again; a download that was cut short begins
 * anew.
 *
 * @param {object} what
 * @param {string} what.python
 * @param {readonly string[]} what.requirements lines as pip reads them, with `--hash` where a digest is
 *   pinned
 * @param {readonly string[]} what.platforms
 * @param {string} what.folder
 * @param {string} what.label
 * @param {number} [what.bytes] of all together, where known
 * @param {import('./report.mjs').Report} what.report
 * @returns {Promise<string[]>} the wheels in `folder`
 */
export async function downloadWheels({ python, requirements, platforms, folder, label, bytes, report }) {
  const temporary = join(folder, 'incoming');
  rmSync(temporary, { recursive: true, force: true });
  makeFolder(temporary);
  const list = join(folder, 'requirements.txt');
  writeFileSync(list, `${requirements.join('\n')}\n`);
  const total = bytes === undefined ? '' : ` of ${formatBytes(bytes)}`;
  const timer = setInterval(() => {
    report.progress(`  ${label}: ${formatBytes(sizeOf(folder))}${total}`);
  }, pollMs);
  try {
    const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--no-cache-dir', '--only-binary=:all:'];
    const target = ['--python-version', '3.11', ...platforms.flatMap((platform) => ['--platform', platform])];
    await mustRun(python, [...pip, ...target, '--dest', folder, '--requirement', list], {
      env: { TMPDIR: temporary },
      doing: `Downloading ${label}`,
      remedy:
        'Check that pip reaches its package index and that the disk has room, then run `npm run setup` again; ' +
        'or fetch the wheel elsewhere and point --wheel at it.',
    });
  } finally {
    clearInterval(timer);
    report.endProgress();
  }
  rmSync(temporary, { recursive: true, force: true });
  const wheels = readdirSync(folder).filter((name) => name.endsWith('.whl'));
  if (wheels.length === 0)
    throw new SetupError(`pip left no wheel for ${label}.`, 'Run `npm run setup` again.');
  return wheels.map((name) => join(folder, name));
}

/** @param {string} folder */
function sizeOf(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true })) {
    bytes += statSync(join(folder, String(entry)), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
