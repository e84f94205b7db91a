import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from '../file-lock.js';
import { makeFolder } from '../make-folder.js';

/** What a full cache is emptied to, and what a process may add before it looks at the whole again. */
const [keptShare, lookShare] = [0.9, 0.05];
/** A temporary file that nobody has written to for so long was left by a process that was killed. */
const leftMs = 10 * 60_000;
/** When an entry was used last is noted no more often than this. */
export const touchMs = 60_000;

/**
 * What was fetched, by the SHA-256 of its bytes, for all processes of a machine. An entry appears under its
 * name whole; no lock outlives its holder and there is no list, so that a process may be killed at any moment.
 * All entries together are kept to a bound: those used longest ago are removed. Whoever reads an entry checks it:
 * a disk may change a byte.
 */
export interface ContentCache {
  /** Null when there is none, or it cannot be read. */
  read(digest: string): Promise<Buffer | null>;
  /** Never rejects: what cannot be kept is fetched again. */
  keep(digest: string, bytes: Uint8Array): Promise<void>;
  /** Removes an entry that is not what its name says. */
  drop(digest: string): Promise<void>;
  /** Where an entry is or will be, for those that write large ones themselves, and call `kept`. */
  pathOf(digest: string): string;
  /** `bytes` were added as the entry `digest`: others make room meanwhile, if it is needed. */
  kept(digest: string, bytes: number): void;
  /** Waits until there is room again. */
  close(): Promise<void>;
}

export interface CacheOptions {
  /** Made, for its owner alone. */
  readonly folder: string;
  /** Of all entries together; with 0 there is no cache. */
  readonly maxBytes: number;
  /** Told once when entries cannot be kept. */
  warn?(message: string): void;
}

export function openContentCache({ folder, maxBytes, warn }: CacheOptions): ContentCache {
  /** Since all entries were looked at; the first time, at once. */
  let added = Number.POSITIVE_INFINITY;
  let evicting: Promise<void> | null = null;
  let warned = false;
  /** Of the folders, those that are there: to look for them costs as much as to write an entry. */
  const made = new Set<string>();
  const pathOf = (digest: string) => join(folder, digest.slice(0, 2), digest);
  const giveUp = (error: unknown) => {
    if (!warned) warn?.(`what is fetched is not kept in ${folder}: ${(error as Error).message}`);
    warned = true;
  };
  const makeRoom = async (newest: string) => {
    while (added > lookShare * maxBytes) {
      added = 0;
      await evict(folder, maxBytes, newest).catch(giveUp);
    }
    evicting = null;
  };
  const kept = (digest: string, bytes: number) => {
    added += bytes;
    if (added > lookShare * maxBytes) evicting ??= makeRoom(digest);
  };
  return {
    pathOf,
    kept,
    async read(digest) {
      if (maxBytes === 0) return null;
      const path = pathOf(digest);
      try {
        const bytes = await readFile(path);
        await touch(path);
        return bytes;
      } catch {
        return null;
      }
    },
    async keep(digest, bytes) {
      if (bytes.length > maxBytes) return;
      const write = async () => {
        const temporary = join(folder, 'tmp', randomBytes(8).toString('hex'));
        try {
          if (!made.has(digest.slice(0, 2))) makePrivate(folder, digest);
          made.add(digest.slice(0, 2));
          await writeFile(temporary, bytes, { mode: 0o600 });
          await rename(temporary, pathOf(digest));
        } catch (error) {
          await rm(temporary, { force: true }).catch(() => {});
          throw error;
        }
      };
      try {
        await write().catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
          // Somebody has removed the folders meanwhile.
          made.clear();
          return write();
        });
        kept(digest, bytes.length);
      } catch (error) {
        giveUp(error);
      }
    },
    async close() {
      await evicting;
    },
    drop: (digest) => rm(pathOf(digest), { force: true }).catch(() => {}),
  };
}

/** The folders that an entry is written and kept in, for their owner alone. */
export function makePrivate(folder: string, digest: string): void {
  for (const name of ['', 'tmp', digest.slice(0, 2)]) makeFolder(join(folder, name), { mode: 0o700 });
}

/** Where a large entry lies while it arrives. */
export function partOf(entry: string): string {
  return `${entry}.part`;
}

/** Who holds it writes the entry and its part, and may remove them. */
export function lockOf(entry: string): string {
  return `${entry}.lock`;
}

/** Notes that an entry was used, unless that is known well enough. Resolves to its size in bytes. */
export async function touch(path: string): Promise<number> {
  const now = new Date();
  const { mtimeMs, size } = await stat(path);
  if (now.getTime() - mtimeMs > touchMs) await utimes(path, now, now);
  return size;
}

/** Removes the entries used longest ago, but `newest`, until there is room, and what killed processes left. */
async function evict(folder: string, maxBytes: number, newest: string): Promise<void> {
  const entries: { readonly path: string; readonly bytes: number; readonly usedMs: number }[] = [];
  let total = 0;
  for (const name of await readdir(folder)) {
    for (const entry of await readdir(join(folder, name)).catch(() => [])) {
      const path = join(folder, name, entry);
      const found = await stat(path).catch(() => null);
      if (found === null) continue;
      if (name === 'tmp') {
        if (Date.now() - found.mtimeMs > leftMs) await rm(path, { force: true });
        continue;
      }
      total += found.size;
      if (entry !== newest) entries.push({ path, bytes: found.size, usedMs: found.mtimeMs });
    }
  }
  if (total <= maxBytes) return;
  entries.sort((a, b) => a.usedMs - b.usedMs || (a.path < b.path ? -1 : 1));
  for (const { path, bytes } of entries) {
    if (total <= keptShare * maxBytes) return;
    if (await removeUnlessHeld(path)) total -= bytes;
  }
}

/** What is arriving stays, with its lock: its writer will give it its name, and nobody else must begin to write. */
async function removeUnlessHeld(path: string): Promise<boolean> {
  const arriving = /^(.*)\.(?:part|lock)$/.exec(path)?.[1];
  if (arriving === undefined) {
    await rm(path, { force: true });
    return true;
  }
  const unlock = tryLock(lockOf(arriving));
  if (unlock === null) return false;
  try {
    await rm(path, { force: true });
  } finally {
    unlock();
  }
  return true;
}
