import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

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
