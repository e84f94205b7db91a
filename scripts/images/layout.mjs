import { chmodSync, copyFileSync, linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { programEntries } from '../bundle/contents.mjs';
import { makeFolder } from '../setup/files.mjs';
import { root } from '../setup/places.mjs';

/** @typedef {import('../bundle/contents.mjs').Entry} Entry */

/** Node is the base image's; what measures beside peers stays at home. */
const leftOut = /^bin\/|^app\/(bench|dist\/bench)\//;
/** What only computing needs. */
const tensorflow = /^app\/node_modules\/@tensorflow\//;

/**
 * What an image holds under /opt/rondo, but for the runtime of TensorFlow.
 *
 * @param {'coordinator' | 'worker'} image
 * @param {string} natsServer the program that the coordinator starts for a run
 * @returns {Entry[]}
 */
export function imageEntries(image, natsServer) {
  const entries = programEntries({ natsServer: image === 'coordinator' ? natsServer : null });
  const programs = image === 'coordinator' ? ['coordinator', 'worker'] : ['worker'];
  return [
    ...entries.filter(({ path }) => !leftOut.test(path) && (image === 'worker' || !tensorflow.test(path))),
    ...programs.map((name) => ({ path: `bin/${name}`, text: command(name), executable: true })),
    {
      path: 'bin/health',
      text: readFileSync(join(root, 'deploy/images/health.mjs'), 'utf8'),
      executable: true,
    },
    // Where nats has a pod of its own it is of this image.
    ...(image === 'coordinator' ? [{ path: 'bin/nats-server', link: '../runtime/nats-server' }] : []),
  ];
}

/** @param {string} program */
function command(program) {
  return `#!/bin/sh\nexec node /opt/rondo/app/dist/${program}/main.js "$@"\n`;
}

/**
 * Puts entries into a folder; files are hard links where the file system can.
 *
 * @param {string} folder
 * @param {readonly Entry[]} entries
 */
export function layOut(folder, entries) {
  for (const entry of entries) {
    const path = join(folder, entry.path);
    makeFolder(dirname(path));
    if ('link' in entry) symlinkSync(entry.link, path);
    else if ('text' in entry) {
      writeFileSync(path, entry.text);
      chmodSync(path, entry.executable === true ? 0o755 : 0o644);
    } else linkOrCopy(entry.file, path);
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
function linkOrCopy(from, to) {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK'].includes(String(/** @type {NodeJS.ErrnoException} */ (error).code))) {
      throw error;
    }
    copyFileSync(from, to);
  }
}
