import { constants, type Stats } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, readdir, rmdir, statfs, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';

/**
 * Raised when the same bytes give other pixels, or records are laid out in another way; part of every file's
 * name.
 */
export const formatVersion = 5;

/**
 * Names of this version's files, and of those that versions before 4 left, in the system's folder for
 * temporary files.
 */
const currentName = new RegExp(`^v${formatVersion}-\\d+-[0-9a-f]{32}\\.pixels$`);
const olderNames = [/^v\d+-\d+-[0-9a-f]{32}\.pixels$/, /^pixels-\d+-[0-9a-f]{16}\.bin$/];
const olderFolder = () => path.join(tmpdir(), 'rondo-pixels');

/** What a file may take of the free disk; other programs and the checkpoints need room too. */
const shareOfFreeDisk = 0.5;

export interface OpenedPixels {
  readonly handle: FileHandle;
  readonly file: string;
  /** How much of the file may be used: its whole length, unless the bound or the disk has less room. */
  readonly limitBytes: number;
}

/**
 * Opens or creates the file of decoded pixels that `key` stands for (32 hex digits: of what it is made from),
 * `bytes` long when it is complete, in the folder `pixels` of `cacheDir`.
 *
 * The folder is its owner's alone, and so are the files; links are not followed, and what another user owns
 * is refused. All files together are kept to `maxBytes`: those opened longest ago are removed. Processes that
 * have one open keep what they have of it. Nothing is locked, so a killed process leaves nothing behind.
 * Files of earlier versions are removed.
 *
 * @throws RondoError when the folder or the file is not this user's own, or there is no room; what the file
 *   system throws
 */
export async function openPixelsIn(
  cacheDir: string,
  o: { readonly key: string; readonly presize: number; readonly bytes: number; readonly maxBytes: number },
): Promise<OpenedPixels> {
  const folder = path.join(cacheDir, 'pixels');
  makeFolder(cacheDir, { mode: 0o700 });
  await makePrivate(folder);
  for (const place of [folder, cacheDir, olderFolder()]) await removeOlder(place);
  const file = path.join(folder, `v${formatVersion}-${o.presize}-${o.key}.pixels`);
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  const handle = await open(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    const stats = await handle.stat();
    requireOwn(file, stats, stats.isFile() && stats.nlink === 1);
    if ((stats.mode & 0o077) !== 0) await handle.chmod(0o600);
    const { bavail, bsize } = await statfs(folder);
    const room = stats.blocks * 512 + bavail * bsize * shareOfFreeDisk;
    const limitBytes = Math.min(o.bytes, o.maxBytes, room);
    // Now, so that others who look for room see all of it, holes included, and when it was used.
    if (stats.size < limitBytes) await handle.truncate(Math.floor(limitBytes));
    const now = new Date();
    await handle.utimes(now, now);
    await evict(folder, path.basename(file), o.maxBytes);
    return { handle, file, limitBytes };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Makes `folder` unless it is there, for its owner alone. */
async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const stats = await lstat(folder);
  requireOwn(folder, stats, stats.isDirectory());
  if ((stats.mode & 0o077) !== 0) await chmod(folder, 0o700);
}

function requireOwn(place: string, stats: Stats, isPlain: boolean): void {
  if (isPlain && stats.uid === ownUserId()) return;
  const what = isPlain ? 'belongs to another user' : 'is a link, or not what Rondo made';
  throw new RondoError('permission-denied', `${place} ${what}`, {
    remedy: `remove it, or set RONDO_CACHE to a folder of your own`,
  });
}

function ownUserId(): number {
  return process.geteuid!();
}

/**
 * Removes the files used longest ago until all of them fit. A process keeps files that were opened after its
 * own, whose openers make room themselves: so of two opened at the same time one stays.
 */
async function evict(folder: string, own: string, maxBytes: number): Promise<void> {
  const files = await listOwn(folder, [currentName]);
  files.sort((a, b) => a.mtimeMs - b.mtimeMs || (a.name < b.name ? -1 : 1));
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { name, size } of files) {
    if (total <= maxBytes || name === own) return;
    await unlink(path.join(folder, name)).catch(ignoreGone);
    total -= size;
  }
}

/**
 * Removes what earlier versions left in `folder`, and the folder where they made it and nothing else is in
 * it.
 */
async function removeOlder(folder: string): Promise<void> {
  try {
    for (const { name } of await listOwn(folder, olderNames)) {
      if (!currentName.test(name)) await unlink(path.join(folder, name)).catch(ignoreGone);
    }
    if (folder === olderFolder()) await rmdir(folder);
  } catch {
    // Somebody else's folder, or none.
  }
}

/** This user's plain files in `folder` whose names fit; none unless the folder itself is this user's. */
async function listOwn(folder: string, names: readonly RegExp[]): Promise<(Stats & { name: string })[]> {
  const { uid } = await lstat(folder);
  if (uid !== ownUserId()) return [];
  const fitting = (await readdir(folder)).filter((name) => names.some((pattern) => pattern.test(name)));
  const stats = await Promise.all(
    fitting.map(async (name) => {
      const found = await lstat(path.join(folder, name)).catch(ignoreGone);
      return found === undefined ? [] : [Object.assign(found, { name })];
    }),
  );
  return stats.flat().filter((found) => found.isFile() && found.uid === ownUserId());
}

function ignoreGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
