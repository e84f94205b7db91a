import { type FileHandle, open } from 'node:fs/promises';
import { RondoError } from '../errors.js';
import type { ByteRange } from './store.js';

/** Files that are open at a time, at most, but for those that are being read. */
const mostOpen = 64;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  readers: number;
}

/** Files that parts are read of, which stay open for the next part. */
export interface FileHandles {
  /** Rejects with what the file system throws, and data-loss where the file ends before `range` does. */
  read(file: string, range: ByteRange): Promise<Buffer>;
  /** What is read of a file from now on is read of the one that has its name then. */
  forget(file: string): void;
  /** Forgets files that have lost their names: until they are closed, they take room on the disk. */
  forgetRemoved(): Promise<void>;
  close(): Promise<void>;
}

export function openHandles(): FileHandles {
  /** In the order of their last use. */
  const files = new Map<string, OpenFile>();

  const shut = async (name: string, file: OpenFile): Promise<void> => {
    if (files.get(name) === file) files.delete(name);
    const handle = await file.handle.catch(() => null);
    await handle?.close().catch(() => {});
  };
  const take = (name: string): OpenFile => {
    const file = files.get(name) ?? { handle: open(name), readers: 0 };
    files.delete(name);
    files.set(name, file);
    file.readers += 1;
    return file;
  };
  const forget = (name: string) => {
    const file = files.get(name);
    files.delete(name);
    // Else the last of its readers shuts it.
    if (file?.readers === 0) void shut(name, file);
  };
  const shutIdle = () => {
    for (const [name, file] of files) {
      if (files.size <= mostOpen) return;
      if (file.readers === 0) void shut(name, file);
    }
  };
  return {
    async read(name, { start, end }) {
      const file = take(name);
      try {
        return await readExactly(await file.handle, start, end - start);
      } catch (error) {
        // What is wrong may be with this handle alone, as after a network share has moved.
        if (files.get(name) === file) files.delete(name);
        throw error;
      } finally {
        file.readers -= 1;
        if (files.get(name) !== file && file.readers === 0) void shut(name, file);
        shutIdle();
      }
    },
    forget,
    async forgetRemoved() {
      for (const [name, file] of [...files]) {
        const found = await file.handle.then((handle) => handle.stat()).catch(() => null);
        if (found?.nlink === 0 && files.get(name) === file) forget(name);
      }
    },
    async close() {
      await Promise.all([...files].map(([name, file]) => shut(name, file)));
    },
  };
}

async function readExactly(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, start + at);
    if (bytesRead === 0) throw new RondoError('data-loss', `it ends ${length - at} bytes too soon`);
    at += bytesRead;
  }
  return bytes;
}
