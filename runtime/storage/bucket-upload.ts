import { type FileHandle, open } from 'node:fs/promises';
import { RondoError } from '../errors.js';
import { createLimiter } from '../limiter.js';
import { sendBytes } from './http-requests.js';
import { httpPatience, type RemoteFile } from './http-retry.js';
import type { LocalFile, StoreOptions } from './store.js';

/** A file that is no longer is sent in one request; of a longer one so much at a time, or what 10,000 parts take. */
const partBytes = 32 << 20;
const [mostParts, partsAtOnce] = [10_000, 3];

interface UploadOptions extends Pick<StoreOptions, 'patience' | 'warn'> {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Puts a file of this machine into a bucket, in parts where it is long. A part that fails is sent again; what was
 * sent of a file that is given up is removed. The bucket's file tells its SHA-256 (x-amz-meta-sha256).
 *
 * @throws RondoError as `sendBytes` does, and failed-precondition where the file is shorter than it was.
 */
export async function uploadFile(file: RemoteFile, source: LocalFile, o: UploadOptions): Promise<void> {
  const options = { patience: o.patience ?? httpPatience, warn: o.warn, signal: o.signal };
  const headers = {
    'content-type': source.path.endsWith('.md') ? 'text/markdown; charset=utf-8' : 'application/octet-stream',
    'x-amz-meta-sha256': source.sha256,
  };
  const handle = await open(source.path);
  try {
    if (source.bytes <= partBytes) {
      const body = await readPart(handle, source, 0, source.bytes);
      await sendBytes(file, { method: 'PUT', headers, body }, options);
      return;
    }
    const begun = await sendBytes(file, { method: 'POST', headers, query: { uploads: '' } }, options);
    const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(begun.text)?.[1];
    if (uploadId === undefined) {
      throw new RondoError('unavailable', `the server of ${file.name} takes no files in parts`, {
        remedy: 'give a --shard-size of 32MiB or less',
      });
    }
    try {
      const etags = await uploadParts(file, handle, source, uploadId, options);
      const parts = etags.map(
        (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
      );
      const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
      await sendBytes(file, { method: 'POST', body, query: { uploadId } }, options);
    } catch (error) {
      // Also when the signal has come: unfinished parts are stored, and charged, until somebody removes them.
      const ending = { ...options, signal: undefined };
      await sendBytes(file, { method: 'DELETE', query: { uploadId } }, ending).catch(() => {});
      throw error;
    }
  } finally {
    await handle.close();
  }
}

async function uploadParts(
  file: RemoteFile,
  handle: FileHandle,
  source: LocalFile,
  uploadId: string,
  options: Parameters<typeof sendBytes>[2],
): Promise<string[]> {
  const length = Math.max(partBytes, Math.ceil(source.bytes / mostParts));
  const limit = createLimiter(partsAtOnce);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const send = async (index: number): Promise<string> => {
    signal.throwIfAborted();
    const body = await readPart(handle, source, index * length, (index + 1) * length);
    const query = { partNumber: String(index + 1), uploadId };
    const { headers } = await sendBytes(file, { method: 'PUT', body, query }, { ...options, signal });
    return headers.etag ?? '';
  };
  const parts = Array.from({ length: Math.ceil(source.bytes / length) }, (_, index) =>
    limit(() => send(index)),
  );
  try {
    return await Promise.all(parts);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(parts);
    throw error;
  }
}

async function readPart(handle: FileHandle, { path, bytes }: LocalFile, start: number, end: number) {
  const part = Buffer.allocUnsafe(Math.min(end, bytes) - start);
  for (let at = 0; at < part.length; ) {
    const { bytesRead } = await handle.read(part, at, part.length - at, start + at);
    if (bytesRead === 0) {
      throw new RondoError('failed-precondition', `${path} became shorter while it was uploaded`);
    }
    at += bytesRead;
  }
  return part;
}
