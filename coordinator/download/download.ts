import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { abortReason, sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { tryLock } from '../../runtime/file-lock.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import { type ExpectedFile, findMismatch } from './digest.js';
import { promotePart, removePart, sizeOf } from './part-file.js';
import { transfer } from './transfer.js';

/** In bytes; total 0: not known. */
export interface DownloadProgress {
  readonly done: number;
  readonly total: number;
}

/** How long a failing download is tried again. */
export interface RetryPolicy {
  /** Tries in a row that bring nothing new before it is given up. */
  readonly tries: number;
  /** Before the second try; doubles with each one after. */
  readonly backoffMs: number;
  /** A connection that brings nothing for this long counts as broken. */
  readonly stallMs: number;
}

export interface DownloadOptions extends ExpectedFile {
  readonly url: string;
  /** Where the file shall lie; its folder is made. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** First with what is there already and the whole size, before a byte arrives. */
  onProgress(progress: DownloadProgress): void;
  readonly retry?: RetryPolicy;
}

const defaultRetry: RetryPolicy = { tries: 5, backoffMs: 500, stallMs: 30_000 };

/**
 * The path of a file that is whole and has the digest it should have: found there without the network, or
 * fetched. What arrives is kept in `FILE.part`, so that a broken connection, a stop or a crash costs nothing
 * that has arrived; the file gets its name when it is whole. Processes that want the same file at once wait
 * for the one that fetches it.
 *
 * @throws RondoError unavailable without a network or when the connection keeps breaking, not-found or
 *   permission-denied as the server answers, data-loss for a wrong size or digest, resource-exhausted when
 *   the disk is full, cancelled.
 */
export async function downloadFile(o: DownloadOptions): Promise<string> {
  try {
    if (await isThere(o.file)) return await requireRight(o);
    makeFolder(dirname(o.file));
    const part = partOf(o.file);
    const onWait = async () => o.onProgress({ done: await sizeOf(part), total: o.bytes ?? 0 });
    return await withFileLock(`${o.file}.lock`, { signal: o.signal, onWait }, () => fetchUnderLock(o, part));
  } catch (error) {
    if (o.signal.aborted) throw abortReason(o.signal, `the download of ${maskUrls(o.url)}`);
    const { code, message, remedy } = RondoError.from(error);
    throw new RondoError(code, message, { remedy: remedy ?? byHand(o), cause: error });
  }
}

async function fetchUnderLock(o: DownloadOptions, part: string): Promise<string> {
  if (await isThere(o.file)) return requireRight(o);
  await fetchWhole(o, part);
  const mismatch = await findMismatch(part, o, o.signal);
  if (mismatch !== null) {
    await removePart(part);
    throw new RondoError('data-loss', `${maskUrls(o.url)} is not what it should be: ${mismatch}`, {
      remedy: `try again; if it stays so, a server or proxy in between changes the file: ${byHand(o)}`,
    });
  }
  await promotePart(part, o.file);
  return o.file;
}

async function fetchWhole(o: DownloadOptions, part: string): Promise<void> {
  const { tries, backoffMs, stallMs } = o.retry ?? defaultRetry;
  let most = await sizeOf(part);
  let reached = false;
  for (let failures = 0; ; ) {
    const outcome = await transfer({ ...o, part, stallMs });
    if (outcome.whole) return;
    const size = await sizeOf(part);
    if (size > most) failures = 0;
    most = Math.max(most, size);
    reached ||= outcome.reached;
    failures += 1;
    // Waiting does not help a machine that never reached the server.
    if (!reached) throw new RondoError('unavailable', `cannot reach ${maskUrls(o.url)}: ${outcome.reason}`);
    if (failures >= tries) {
      throw new RondoError(
        'unavailable',
        `cannot download ${maskUrls(o.url)}: ${outcome.reason} (${tries} tries)`,
        {
          remedy: `start again later, what has arrived is kept; or ${byHand(o)}`,
        },
      );
    }
    await sleep(backoffMs * 2 ** (failures - 1), o.signal);
  }
}

async function requireRight(o: DownloadOptions): Promise<string> {
  const mismatch = await findMismatch(o.file, o, o.signal);
  if (mismatch === null) return o.file;
  throw new RondoError('data-loss', `${o.file} is not what ${maskUrls(o.url)} should be: ${mismatch}`, {
    remedy: `remove ${o.file} to have it fetched again, or ${byHand(o)}`,
  });
}

async function isThere(file: string): Promise<boolean> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (found === null || found.isFile()) return found !== null;
  throw new RondoError('failed-precondition', `${file} is in the way: it is not a file`, {
    remedy: `remove ${file}`,
  });
}

function partOf(file: string): string {
  return `${file}.part`;
}

function byHand({ url, file }: DownloadOptions): string {
  return `fetch ${maskUrls(url)} on a machine that can reach it and put it at ${file}`;
}

/**
 * Where to fetch a file: under the mirror that the environment variable names, else at its publisher. A
 * mirror is a folder of files with the names that they have in Rondo's cache.
 *
 * @throws RondoError invalid-argument when the variable holds no http or https URL.
 */
export function urlOf(file: string, publisher: string, variable: string): string {
  const base = process.env[variable];
  if (base === undefined || base === '') return publisher;
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new RondoError(
      'invalid-argument',
      `${variable} is "${maskUrls(base)}", which is not a web address`,
      {
        remedy: `set ${variable} to something like https://mirror.example/files, or unset it`,
      },
    );
  }
  return `${base.replace(/\/+$/, '')}/${file}`;
}

const pollMs = 250;

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Called again and again while another process holds the lock. */
  onWait(): void | Promise<void>;
}

/**
 * Does `work` while holding the lock at `path`. Waits while another process holds it; the lock is released
 * when its holder ends.
 */
export async function withFileLock<T>(path: string, o: LockOptions, work: () => Promise<T>): Promise<T> {
  let unlock = tryLock(path);
  while (unlock === null) {
    await o.onWait();
    await sleep(pollMs, o.signal);
    unlock = tryLock(path);
  }
  try {
    return await work();
  } finally {
    unlock();
  }
}
