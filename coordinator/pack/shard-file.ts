import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cannotWrite, syncDirectory } from '../../runtime/durable-file.js';
import { encodeEnd } from './tar.js';

/** Bytes that are gathered before they are written. */
const writeBytes = 1 << 20;

/** A shard that is being written, under another name until it is whole. */
export interface ShardFile {
  /** So far: where the next part goes. */
  readonly bytes: number;
  /** Takes over the parts, which must not change after. */
  append(parts: readonly Uint8Array[]): Promise<void>;
  /** Writes the end, waits until the disk has all of it, and gives the file its name. */
  finish(): Promise<{ readonly bytes: number; readonly sha256: string }>;
  /** Removes what was written. Safe after `finish`. */
  discard(): Promise<void>;
}

/** Throws RondoErrors that name `path`. */
export async function createShard(path: string, temporary: string): Promise<ShardFile> {
  let written = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const hash = createHash('sha256');
  const file = await open(temporary, 'w').catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
  let isOpen = true;
  const flush = async () => {
    const parts = pending;
    pending = [];
    pendingBytes = 0;
    await writeAll(file, parts, hash);
  };
  const append = async (parts: readonly Uint8Array[]) => {
    for (const part of parts) {
      pending.push(part);
      pendingBytes += part.length;
      written += part.length;
    }
    if (pendingBytes >= writeBytes) await flush();
  };
  const close = async () => {
    if (!isOpen) return;
    isOpen = false;
    await file.close();
  };
  const named = async <T>(task: () => Promise<T>): Promise<T> => {
    try {
      return await task();
    } catch (error) {
      throw cannotWrite(path, error);
    }
  };
  return {
    get bytes() {
      return written;
    },
    append: (parts) => named(() => append(parts)),
    finish: () =>
      named(async () => {
        await append([await encodeEnd()]);
        await flush();
        await file.sync();
        await close();
        await rename(temporary, path);
        await syncDirectory(dirname(path));
        return { bytes: written, sha256: hash.digest('hex') };
      }),
    async discard() {
      await close().catch(() => {});
      await rm(temporary, { force: true }).catch(() => {});
    },
  };
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[], hash: Hash): Promise<void> {
  const bytes = Buffer.concat(parts);
  hash.update(bytes);
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/** Whether a file is there and holds these bytes. */
export async function holds(
  path: string,
  { bytes, sha256 }: { readonly bytes: number; readonly sha256: string },
  signal: AbortSignal,
): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== bytes) return false;
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { signal, highWaterMark: writeBytes })) {
    hash.update(part as Buffer);
  }
  return hash.digest('hex') === sha256;
}
