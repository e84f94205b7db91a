import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { decoderVersion } from '../../runtime/images.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { parseJson } from '../../runtime/parse-json.js';
import { type Finding, findingSchema } from '../../runtime/verification/verify-image.js';
import type { ImageFile } from './image-files.js';

/** Raised when the pass looks at other things. */
const formatVersion = 5;

/** A line of the record: path and stamp of the file, as they were then. */
const entrySchema = z.tuple([z.string(), z.string(), findingSchema]);
type Entry = z.infer<typeof entrySchema>;

/** Lines are written in blocks of about so many characters. */
const blockLength = 65_536;

/**
 * What earlier passes over a folder found. A file with another stamp is unknown again: writing to it, or
 * putting another file in its place, changes its change time (ctime), which, unlike its modification time, no
 * program can set back. What is missed is a change that leaves no trace in ctime: one made while the clock
 * was set back, below the file system (to the disk itself), or on a file system that has no such time (FAT).
 */
export interface VerificationRecord {
  /** Whether there was a pass before. */
  exists(): boolean;
  /** What is known of these files. A missing record is empty, and so is a damaged line of one. */
  read(files: readonly ImageFile[]): Promise<Map<ImageFile, Finding>>;
  /** Replaces the record by these findings, but those of `left`. Throws what the file system throws. */
  save(findings: ReadonlyMap<ImageFile, Finding>, left?: ReadonlySet<ImageFile>): Promise<void>;
}

/** The record of one folder, in `cacheDir`: a file of JSON lines, read and written as a stream. */
export function openVerificationRecord(root: string, cacheDir: string): VerificationRecord {
  const key = createHash('sha256')
    .update(JSON.stringify([formatVersion, root, decoderVersion]))
    .digest('hex');
  const record = path.join(cacheDir, `verified-${key.slice(0, 16)}.jsonl`);
  return {
    exists: () => existsSync(record),
    async read(files) {
      const byPath = new Map(files.map((file) => [file.path, file]));
      const findings = new Map<ImageFile, Finding>();
      for await (const [path, stamp, finding] of readEntries(record)) {
        const file = byPath.get(path);
        if (file?.stamp === stamp) findings.set(file, finding);
      }
      return findings;
    },
    async save(findings, left = new Set()) {
      makeFolder(cacheDir);
      const temporary = `${record}.${randomUUID()}`;
      try {
        await pipeline(Readable.from(formatEntries(findings, left)), createWriteStream(temporary));
        await rename(temporary, record);
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}

function* formatEntries(
  findings: ReadonlyMap<ImageFile, Finding>,
  left: ReadonlySet<ImageFile>,
): Generator<string, void, void> {
  let block = '';
  for (const [file, finding] of findings) {
    const { path, stamp, settled } = file;
    if (!settled || left.has(file)) continue;
    const entry: Entry = [path, stamp, finding];
    block += `${JSON.stringify(entry)}\n`;
    if (block.length < blockLength) continue;
    yield block;
    block = '';
  }
  yield block;
}

async function* readEntries(record: string): AsyncGenerator<Entry, void, void> {
  try {
    let begun = '';
    for await (const chunk of createReadStream(record, 'utf8') as AsyncIterable<string>) {
      const lines = `${begun}${chunk}`.split('\n');
      begun = lines.pop()!;
      for (const line of lines) {
        const entry = parseEntry(line);
        if (entry !== undefined) yield entry;
      }
    }
  } catch {
    // None yet, or none that can be read: the files are read again.
  }
}

function parseEntry(line: string): Entry | undefined {
  try {
    return parseJson(entrySchema, line, { name: 'an entry' });
  } catch {
    return undefined;
  }
}
