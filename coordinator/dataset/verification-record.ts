import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { decoderVersion } from '../../runtime/images.js';
import type { ImageFile } from './image-files.js';

/** Raised when the pass looks at other things. */
const formatVersion = 4;

const findingSchema = z.discriminatedUnion('usable', [
  z.object({
    usable: z.literal(true),
    width: z.int().positive(),
    height: z.int().positive(),
    digest: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.object({ usable: z.literal(false), reason: z.string() }),
]);

/**
 * What reading and decoding a file showed: the image's pixels, upright, and the SHA-256 of its bytes; or why
 * it cannot be used.
 */
export type Finding = Readonly<z.infer<typeof findingSchema>>;

/** Path and stamp of the file, as they were then. */
const entrySchema = z.tuple([z.string(), z.string(), findingSchema]);
type Entry = z.infer<typeof entrySchema>;

/**
 * What earlier passes over a folder found. A file with another stamp is unknown again: writing to it, or
 * putting another file in its place, changes its change time (ctime), which, unlike its modification time, no
 * program can set back. What is missed is a change that leaves no trace in ctime: one made while the clock
 * was set back, below the file system (to the disk itself), or on a file system that has no such time (FAT).
 */
export interface VerificationRecord {
  /** Undefined when the file is not known. */
  get(file: ImageFile): Finding | undefined;
  /** Replaces the record by these findings. Throws what the file system throws. */
  save(findings: ReadonlyMap<ImageFile, Finding>): Promise<void>;
}

/** The record of one folder, in `cacheDir`; a missing or damaged one is empty. */
export async function openVerificationRecord(root: string, cacheDir: string): Promise<VerificationRecord> {
  const key = createHash('sha256')
    .update(JSON.stringify([formatVersion, root, decoderVersion]))
    .digest('hex');
  const file = path.join(cacheDir, `verified-${key.slice(0, 16)}.json`);
  const known = new Map((await readEntries(file)).map((entry) => [entry[0], entry]));
  return {
    get({ path, stamp }) {
      const entry = known.get(path);
      return entry !== undefined && entry[1] === stamp ? entry[2] : undefined;
    },
    async save(findings) {
      const entries = [...findings]
        .filter(([file]) => file.settled)
        .map(([{ path, stamp }, finding]): Entry => [path, stamp, finding]);
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
  return entrySchema.safeParse(value).success;
}
