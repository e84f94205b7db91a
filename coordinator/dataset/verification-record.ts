import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decoderVersion } from '../../runtime/images.js';
import type { ImageFile } from './image-files.js';

/** Raised when the pass looks at other things. */
const formatVersion = 1;

/** What earlier passes over a folder found. A file that changed its size or time is unknown again. */
export interface VerificationRecord {
  /** Why the file cannot be used, null when it can, undefined when it is not known. */
  get(file: ImageFile): string | null | undefined;
  /** Replaces the record by these findings. Throws what the file system throws. */
  save(findings: ReadonlyMap<ImageFile, string | null>): Promise<void>;
}

type Entry = [path: string, size: number, mtimeMs: number, reason: string | null];

/** The record of one folder, in `cacheDir`; a missing or damaged one is empty. */
export async function openVerificationRecord(root: string, cacheDir: string): Promise<VerificationRecord> {
  const key = createHash('sha256')
    .update(JSON.stringify([formatVersion, root, decoderVersion]))
    .digest('hex');
  const file = path.join(cacheDir, `verified-${key.slice(0, 16)}.json`);
  const known = new Map((await readEntries(file)).map((entry) => [entry[0], entry]));
  return {
    get({ path, size, mtimeMs }) {
      const entry = known.get(path);
      return entry !== undefined && entry[1] === size && entry[2] === mtimeMs ? entry[3] : undefined;
    },
    async save(findings) {
      const entries = [...findings].map(
        ([{ path, size, mtimeMs }, reason]): Entry => [path, size, mtimeMs, reason],
      );
      await mkdir(cacheDir, { recursive: true });
      const temporary = `${file}.${randomUUID()}`;
      try {
        await writeFile(temporary, JSON.stringify(entries));
        await rename(temporary, file);
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}

async function readEntries(file: string): Promise<Entry[]> {
  try {
    const entries: unknown = JSON.parse(await readFile(file, 'utf8'));
    return Array.isArray(entries) ? entries.filter(isEntry) : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is Entry {
  if (!Array.isArray(value)) return false;
  const [path, size, mtimeMs, reason] = value;
  const isReason = reason === null || typeof reason === 'string';
  return typeof path === 'string' && typeof size === 'number' && typeof mtimeMs === 'number' && isReason;
}
