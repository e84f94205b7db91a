import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import {
  type DownloadOptions,
  type DownloadProgress,
  downloadFile,
} from '../../coordinator/download/download.js';
import { type HttpServer, type ServedFile, startHttpServer } from './http-server.js';
import { makeFolder } from './images.js';

export const retry = { tries: 3, backoffMs: 1, stallMs: 20_000 };
/** What the server serves, and its digest. */
export const bytes = randomBytes(300_000);
export const sha256 = createHash('sha256').update(bytes).digest('hex');

/** A server of one file, /a.bin, and a place to fetch it to. */
export interface Setting {
  server: HttpServer;
  file: string;
  seen: DownloadProgress[];
  fetch(options?: Partial<DownloadOptions>): Promise<string>;
  /** The next requests' connections are cut when the file has got so far. */
  cutAt(...positions: number[]): void;
}

export async function setUp(served: Partial<ServedFile> = {}): Promise<Setting> {
  const server = await startHttpServer({ '/a.bin': { bytes, ...served } });
  const file = path.join(await makeFolder(), 'deep', 'a.bin');
  const seen: DownloadProgress[] = [];
  const awaited: { position: number; resolve: () => void }[] = [];
  const onProgress = (progress: DownloadProgress) => {
    seen.push(progress);
    for (const { position, resolve } of awaited) if (progress.done >= position) resolve();
  };
  const cutAt = (...positions: number[]) => {
    let start = 0;
    for (const position of positions) {
      const breakWhen = new Promise<void>((resolve) => awaited.push({ position, resolve }));
      server.faults.push({ breakAfter: position - start, breakWhen });
      start = position;
    }
  };
  const fetch = (options: Partial<DownloadOptions> = {}) =>
    downloadFile({
      url: `${server.url}/a.bin`,
      file,
      sha256,
      retry,
      signal: new AbortController().signal,
      onProgress,
      ...options,
    });
  return { server, file, seen, fetch, cutAt };
}

export async function expectWhole({ file }: Setting): Promise<void> {
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(await readdir(path.dirname(file))).toEqual(['a.bin']);
}
