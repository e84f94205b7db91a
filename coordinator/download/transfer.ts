import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { abortReason, startWatchdog } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { version } from '../../runtime/installation.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import { noteSource, type Part, readPart, removePart } from './part-file.js';
import { findBody } from './response.js';

export interface TransferOptions {
  readonly url: string;
  /** Where the bytes go; what is there of the same URL is kept. */
  readonly part: string;
  /** Size of the whole file, where it is known beforehand. */
  readonly bytes?: number;
  /** The connection is given up when nothing arrives for so long. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  onProgress(progress: { done: number; total: number }): void;
}

/** Whether the part is whole now; if not, what happened, and whether there was a way to the server at all. */
export type Outcome =
  | { readonly whole: true }
  | { readonly whole: false; readonly reason: string; readonly reached: boolean };

const noWay = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * One request for what the part lacks (RFC 9110, 14: Range with If-Range), written behind what is there. A
 * broken connection is an outcome; what another try cannot change is thrown: a refusal, another size than
 * expected, a full disk.
 */
export async function transfer(o: TransferOptions): Promise<Outcome> {
  const held = await readPart(o.part, maskUrls(o.url));
  if (held !== null && held.size === held.total) return { whole: true };
  const silence = new AbortController();
  const watchdog = startWatchdog(o.stallMs, () => {
    silence.abort(new Error(`nothing arrived for ${o.stallMs / 1000} s`));
  });
  const signal = AbortSignal.any([o.signal, silence.signal]);
  try {
    const { url, login } = splitLogin(o.url);
    const response = await fetch(url, { headers: { ...headersFor(held), ...login }, signal });
    const body = findBody(response, held, o);
    if (body.kind === 'complete') return { whole: true };
    if (body.kind === 'restart') await removePart(o.part);
    if (body.kind !== 'bytes') return { whole: false, reason: body.reason, reached: true };
    const touched = (done: number) => {
      watchdog.touch();
      o.onProgress({ done, total: body.total });
    };
    const size = await store(body.stream, body, o, touched);
    if (body.total === 0 || size === body.total) return { whole: true };
    return { whole: false, reason: `${size} of ${body.total} bytes arrived`, reached: true };
  } catch (error) {
    if (o.signal.aborted) throw abortReason(o.signal, `the download of ${maskUrls(o.url)}`);
    if (error instanceof RondoError) throw error;
    if (silence.signal.aborted) {
      return { whole: false, reason: (silence.signal.reason as Error).message, reached: true };
    }
    const { code, message } = causeOf(error);
    return { whole: false, reason: message || code || 'no connection', reached: !noWay.has(code ?? '') };
  } finally {
    watchdog.stop();
    // Discards the rest of an answer that is not used.
    silence.abort();
  }
}

/** fetch takes no URL with a user and password in it. */
function splitLogin(text: string): { url: URL; login: Record<string, string> } {
  const url = new URL(text);
  const { username, password } = url;
  if (username === '' && password === '') return { url, login: {} };
  Object.assign(url, { username: '', password: '' });
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return { url, login: { authorization: `Basic ${login.toString('base64')}` } };
}

function headersFor(held: Part | null): Record<string, string> {
  // No content coding: ranges and lengths are those of the file itself.
  const headers = { 'user-agent': `rondo/${version}`, 'accept-encoding': 'identity' };
  if (held === null) return headers;
  return { ...headers, range: `bytes=${held.size}-`, 'if-range': held.validator };
}

interface Piece {
  readonly start: number;
  readonly total: number;
  readonly validator: string;
}

async function store(
  stream: AsyncIterable<Uint8Array>,
  { start, total, validator }: Piece,
  o: TransferOptions,
  onSize: (size: number) => void,
): Promise<number> {
  const onDisk = <T>(work: Promise<T>) => work.catch((error: unknown) => Promise.reject(diskError(o, error)));
  const file = await onDisk(open(o.part, start === 0 ? 'w' : 'a'));
  try {
    let size = start;
    if (start === 0) await onDisk(noteSource(o.part, { url: maskUrls(o.url), validator, total }));
    await requireSpace(o.part, total - start);
    onSize(size);
    for await (const chunk of stream) {
      await onDisk(file.appendFile(chunk));
      size += chunk.byteLength;
      onSize(size);
    }
    await onDisk(file.sync());
    return size;
  } finally {
    await file.close();
  }
}

/** Checked before hundreds of megabytes are downloaded rather than after. */
async function requireSpace(part: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(part));
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new RondoError(
    'resource-exhausted',
    `the download needs ${megabytes(bytes)}, but ${dirname(part)} has room for ${megabytes(free)}`,
    { remedy: 'make room there, or choose another cache folder with RONDO_CACHE' },
  );
}

function diskError({ part }: TransferOptions, error: unknown): RondoError {
  const { code, message } = RondoError.from(error);
  const remedy =
    code === 'resource-exhausted'
      ? 'make room there and start again (what has arrived is kept), or choose another cache folder with RONDO_CACHE'
      : 'make the folder writable, or choose another cache folder with RONDO_CACHE';
  return new RondoError(code, `cannot write ${part}: ${message}`, { remedy, cause: error });
}

/** fetch hides the cause of a failure one level down, sometimes as several tries on several addresses. */
function causeOf(error: unknown): NodeJS.ErrnoException {
  const cause: unknown = (error as Error).cause ?? error;
  return cause instanceof AggregateError ? cause.errors[0] : (cause as Error);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
