import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { stampOf } from '../../runtime/file-stamp.js';
import { imageName } from '../../runtime/images.js';
import { describeSystemError, describeUnreadable, isGone } from '../../runtime/read-file.js';
import { compareText } from './order.js';
import { listUndecodable } from './undecodable-names.js';

export interface ImageFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /**
   * Size, modification time, change time (ns) and inode: another one means that the file may hold other
   * bytes.
   */
  readonly stamp: string;
  /**
   * False when the file was changed so shortly before it was listed that another change could leave the same
   * times: its bytes must then be read again next time.
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
  /** Folders below the root that cannot be listed, though they are there. */
  readonly unlisted: readonly Quarantined[];
  /** Other names of files and folders that are listed under one name: links of both kinds. */
  readonly doubles: readonly string[];
  /** Files that are no images by name. */
  readonly others: readonly string[];
  /** Folders without an image at any depth, but not the folders inside them. */
  readonly emptyFolders: readonly string[];
}

export interface ListOptions {
  readonly signal: AbortSignal;
  onFound(count: number): void;
  /** List only this folder below the root. Paths begin at the root all the same. */
  readonly within?: string;
}

/** Time stamps move on by a few ms at least; where none has parts of a second, by a second or two. */
const [fineTickMs, coarseTickMs] = [50, 2000];

/**
 * Every image file under `root`, hidden files and folders left out. A link is followed unless what it leads
 * to is listed already, so there are no loops and no file is listed twice. Only a root that cannot be listed
 * is an error.
 */
export async function listImageFiles(root: string, o: ListOptions): Promise<FileListing> {
  const files: ImageFile[] = [];
  const broken: Quarantined[] = [];
  const unlisted: Quarantined[] = [];
  const doubles: string[] = [];
  const others: string[] = [];
  const folders: string[] = [];
  const start = o.within ?? '';
  /** Folders that were listed, and files that links led to: of the other files their folder is enough. */
  const seen = new Set<string>();
  /** Of files with more than one name in the file system. */
  const seenNodes = new Set<string>();
  let links: string[] = [];

  const addFile = (relative: string, stats: BigIntStats): void => {
    const { dev, ino, nlink } = stats;
    if (nlink > 1n) {
      const node = `${dev} ${ino}`;
      if (seenNodes.has(node)) {
        doubles.push(relative);
        return;
      }
      seenNodes.add(node);
    }
    files.push(toImageFile(relative, stats));
    o.onFound(files.length);
  };
  /** Whether what a link led to is, or will be, listed under its own name. */
  const isListed = (real: string): boolean => {
    const { dir, base } = path.parse(real);
    return seen.has(real) || (seen.has(dir) && imageName.test(base) && !base.startsWith('.'));
  };
  const walk = async (relative: string, real: string): Promise<void> => {
    o.signal.throwIfAborted();
    if (seen.has(real)) {
      doubles.push(relative);
      return;
    }
    seen.add(real);
    const folder = path.join(root, relative);
    const listed = await readEntries(folder).catch((error: unknown) => {
      if (relative === start) throw cannotList(folder, error);
      const fault = { path: relative, reason: `cannot be listed: ${describeSystemError(error)}` };
      (isGone(error) ? broken : unlisted).push(fault);
      return [];
    });
    folders.push(relative);
    const [undecodable, entries] = partition(listed, ({ name }) => name.includes('\ufffd'));
    if (undecodable.length > 0) {
      const { names, images } = await listUndecodable(folder);
      // A valid name may contain U+FFFD itself.
      for (const entry of undecodable) if (names.has(entry.name)) entries.push(entry);
      for (const image of images) {
        broken.push({ path: path.posix.join(relative, image), reason: 'has a name that is not UTF-8' });
      }
    }
    const images = entries.filter((entry) => entry.isFile() && imageName.test(entry.name));
    const stats = await Promise.all(
      images.map(({ name }) => readStats(path.join(folder, name)).catch((error: unknown) => error as Error)),
    );
    // Not by `path.join`, whose strings hold those that they were put together from.
    const inside = relative === '' ? '' : `${relative}/`;
    for (const [i, { name }] of images.entries()) {
      const below = inside + name;
      const found = stats[i]!;
      if (found instanceof Error) broken.push({ path: below, reason: describeUnreadable(found) });
      else if (seen.has(path.join(real, name))) doubles.push(below);
      else addFile(below, found);
    }
    for (const entry of entries) {
      const below = inside + entry.name;
      if (entry.isSymbolicLink()) links.push(below);
      else if (entry.isDirectory()) await walk(below, path.join(real, entry.name));
      else if (!imageName.test(entry.name)) others.push(below);
      else if (!entry.isFile()) broken.push({ path: below, reason: 'is no regular file' });
    }
  };
  const follow = async (link: string): Promise<void> => {
    let real: string;
    let target: BigIntStats;
    try {
      real = await realpath(path.join(root, link));
      target = await readStats(real);
    } catch (error) {
      const nowhere = isGone(error) || (error as NodeJS.ErrnoException).code === 'ELOOP';
      const reason = nowhere ? 'is a symbolic link that leads nowhere' : describeUnreadable(error);
      if (imageName.test(link)) broken.push({ path: link, reason });
      else others.push(link);
      return;
    }
    if (target.isDirectory()) await walk(link, real);
    else if (!imageName.test(link)) others.push(link);
    else if (!target.isFile()) broken.push({ path: link, reason: 'is no regular file' });
    else if (isListed(real)) doubles.push(link);
    else {
      seen.add(real);
      addFile(link, target);
    }
  };

  await walk(start, await realpath(path.join(root, start)));
  // Links wait until everything real is listed: a file is known by its own path where it has one.
  while (links.length > 0) {
    const found = links;
    links = [];
    for (const link of found) await follow(link);
  }
  files.sort((a, b) => compareText(a.path, b.path));
  const holding = [...files, ...broken, ...unlisted].map((file) => file.path).concat(doubles);
  return { files, broken, unlisted, doubles, others, emptyFolders: findEmpty(folders, holding) };
}

/** Those of `folders` that hold none of `paths`, unless the folder around them is one. */
function findEmpty(folders: readonly string[], paths: readonly string[]): string[] {
  const holding = new Set<string>(['']);
  for (const held of paths) {
    for (let at = held; !holding.has(at); at = parentOf(at)) holding.add(at);
  }
  return folders.filter((folder) => !holding.has(folder) && holding.has(parentOf(folder)));
}

function parentOf(relative: string): string {
  return relative.split('/').slice(0, -1).join('/');
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

function isSettled({ ctimeNs }: BigIntStats): boolean {
  const tickMs = ctimeNs % 1_000_000_000n === 0n ? coarseTickMs : fineTickMs;
  return Date.now() - Number(ctimeNs / 1_000_000n) > tickMs;
}

async function readEntries(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(({ name }) => !name.startsWith('.')).sort((a, b) => compareText(a.name, b.name));
}

function partition<T>(values: readonly T[], belongs: (value: T) => boolean): [T[], T[]] {
  return [values.filter(belongs), values.filter((value) => !belongs(value))];
}

function cannotList(folder: string, error: unknown): RondoError {
  return new RondoError(RondoError.from(error).code, `cannot list ${folder}: ${(error as Error).message}`, {
    remedy: 'make the folder readable',
    cause: error,
  });
}
