import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { compareText } from './order.js';

export interface ImageFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /** Size, modification time, change time (ns) and inode: another one means that the file may hold other bytes. */
  readonly stamp: string;
  /**
   * True unless the file was changed so shortly before it was listed that a further change could get the same times:
   * what its bytes are must then be asked again next time.
   */
  readonly settled: boolean;
}

/** A file that is left out, and why. */
export interface Quarantined {
  readonly path: string;
  readonly reason: string;
}

export interface FileListing {
  /** Sorted by path. */
  readonly files: readonly ImageFile[];
  /** Image files by name that cannot be looked at: links to nowhere, say. */
  readonly broken: readonly Quarantined[];
}

/** Time stamps move on by a few ms at least; where none has parts of a second, by a second or two. */
const [fineTickMs, coarseTickMs] = [50, 2000];

/**
 * Every image file under `root`: jpg, jpeg, png and webp in any case, hidden files and folders left out. A symbolic link
 * is followed unless what it leads to is listed already, so there are no loops and no file is listed twice.
 */
export async function listImageFiles(
  root: string,
  o: { signal: AbortSignal; onFound(count: number): void },
): Promise<FileListing> {
  const files: ImageFile[] = [];
  const broken: Quarantined[] = [];
  const seen = new Set<string>();
  let links: string[] = [];

  const addFile = (relative: string, real: string, stats: BigIntStats): void => {
    seen.add(real);
    files.push(toImageFile(relative, stats));
    o.onFound(files.length);
  };
  const walk = async (relative: string, real: string): Promise<void> => {
    o.signal.throwIfAborted();
    if (seen.has(real)) return;
    seen.add(real);
    const entries = await readEntries(path.join(root, relative));
    const isNew = (name: string) => imageName.test(name) && !seen.has(path.join(real, name));
    const images = entries.filter((entry) => entry.isFile() && isNew(entry.name));
    const stats = await Promise.all(images.map(({ name }) => readStats(path.join(root, relative, name))));
    for (const [i, { name }] of images.entries()) {
      addFile(path.posix.join(relative, name), path.join(real, name), stats[i]!);
    }
    for (const entry of entries) {
      const below = path.posix.join(relative, entry.name);
      if (entry.isSymbolicLink()) links.push(below);
      else if (entry.isDirectory()) await walk(below, path.join(real, entry.name));
    }
  };
  const follow = async (link: string): Promise<void> => {
    try {
      const real = await realpath(path.join(root, link));
      const target = await readStats(real);
      if (target.isDirectory()) await walk(link, real);
      else if (target.isFile() && imageName.test(link) && !seen.has(real)) addFile(link, real, target);
    } catch (error) {
      if (error instanceof RondoError || o.signal.aborted) throw error;
      if (imageName.test(link)) broken.push({ path: link, reason: 'a symbolic link that leads nowhere' });
    }
  };

  await walk('', await realpath(root));
  // Links wait until everything real is listed: a file is known by its own path where it has one.
  while (links.length > 0) {
    const found = links;
    links = [];
    for (const link of found) await follow(link);
  }
  files.sort((a, b) => compareText(a.path, b.path));
  return { files, broken };
}

function readStats(file: string): Promise<BigIntStats> {
  return stat(file, { bigint: true });
}

/** One file of a folder; null when it is not there. */
export async function statImageFile(root: string, relative: string): Promise<ImageFile | null> {
  const stats = await readStats(path.join(root, relative)).catch(() => null);
  return stats?.isFile() ? toImageFile(relative, stats) : null;
}

function toImageFile(relative: string, stats: BigIntStats): ImageFile {
  return { path: relative, size: Number(stats.size), stamp: stampOf(stats), settled: isSettled(stats) };
}

function stampOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}

function isSettled({ ctimeNs }: BigIntStats): boolean {
  const tickMs = ctimeNs % 1_000_000_000n === 0n ? coarseTickMs : fineTickMs;
  return Date.now() - Number(ctimeNs / 1_000_000n) > tickMs;
}

async function readEntries(folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith('.')).sort((a, b) => compareText(a.name, b.name));
  } catch (error) {
    throw new RondoError(RondoError.from(error).code, `cannot list ${folder}: ${(error as Error).message}`, {
      remedy: 'make the folder readable, or move it out of the data set',
      cause: error,
    });
  }
}
