import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { decoderVersion } from '../../runtime/images.js';
import type { ImageFile } from './image-files.js';

/** Raised when the pass looks at other things. */
const formatVersion = 2;

const findingSchema = z.discriminatedUnion('usable', [
  z.object({ usable: z.literal(true), aspect: z.number().positive() }),
  z.object({ usable: z.literal(false), reason: z.string() }),
]);

/** What decoding a file showed: the image's width / height, upright, or why it cannot be used. */
export type Finding = Readonly<z.infer<typeof findingSchema>>;

/** Path, size and modification time (ms) of the file, as they were then. */
const entrySchema = z.tuple([z.string(), z.number(), z.number(), findingSchema]);
type Entry = z.infer<typeof entrySchema>;

/** What earlier passes over a folder found. A file that changed its size or time is unknown again. */
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
    get({ path, size, mtimeMs }) {
      const entry = known.get(path);
      return entry !== undefined && entry[1] === size && entry[2] === mtimeMs ? entry[3] : undefined;
    },
    async save(findings) {
      const entries = [...findings].map(
        ([{ path, size, mtimeMs }, finding]): Entry => [path, size, mtimeMs, finding],
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
  return entrySchema.safeParse(value).success;
}
