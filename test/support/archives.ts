import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { collect } from './collect.js';

export interface ArchiveEntry {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink';
  readonly bytes?: Uint8Array;
  /** Where a symbolic link leads. */
  readonly linkname?: string;
}

/** A gzipped tar file. */
export async function makeArchive(entries: readonly ArchiveEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, type = 'file', bytes = new Uint8Array(0), linkname } of entries) {
    archive.entry({ name, type, ...(linkname === undefined ? {} : { linkname }) }, bytes);
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The files of a tar archive, in order. */
export async function readTar(archive: Uint8Array): Promise<{ name: string; bytes: Buffer }[]> {
  const entries = extract();
  entries.end(archive);
  const files: { name: string; bytes: Buffer }[] = [];
  for await (const entry of entries) {
    files.push({
      name: entry.header.name,
      bytes: Buffer.concat(await collect(entry as AsyncIterable<Buffer>)),
    });
  }
  return files;
}
