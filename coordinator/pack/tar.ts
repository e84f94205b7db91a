import { pack } from 'tar-stream';

export interface TarFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** What ends an archive: two empty blocks. */
export const endBytes = 1024;

/**
 * Files as a tar archive has them, without its end: each a header of one block (more for a name that is not
 * ASCII or is longer than ustar's fields, which goes into a PAX header), its bytes, zeros up to the next
 * block. Owner, mode and time are the same for all, so the bytes depend on names and contents alone.
 *
 * @returns the parts, among them each file's `bytes` themselves
 */
export async function encodeFiles(files: readonly TarFile[]): Promise<Uint8Array[]> {
  const parts = await readArchive(files);
  return parts.slice(0, -1);
}

/** The end of every archive. */
export async function encodeEnd(): Promise<Uint8Array> {
  const [end] = await readArchive([]);
  return end!;
}

async function readArchive(files: readonly TarFile[]): Promise<Uint8Array[]> {
  const archive = pack();
  // tar-stream fills in the time that it is for an entry without one.
  for (const { name, bytes } of files) archive.entry({ name, mode: 0o644, mtime: new Date(0) }, bytes);
  archive.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of archive as AsyncIterable<Uint8Array>) parts.push(part);
  return parts;
}
