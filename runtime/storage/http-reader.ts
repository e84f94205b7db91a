import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { abortReason, sleep } from '../deadline.js';
import { RondoError } from '../errors.js';
import { version } from '../installation.js';
import { exchange, type HttpRequest, readText } from './http-exchange.js';
import type { ByteRange, ByteSink, HttpPatience } from './store.js';
import { accessVariable } from './url-access.js';

/** A file on a server: how it is asked for, and what the server's refusals mean. */
export interface RemoteFile {
  /** For people: its URL without what is secret. */
  readonly name: string;
  /** With what proves who asks, made anew for each request. */
  request(
    method: HttpRequest['method'],
    headers: Record<string, string>,
    body?: Uint8Array,
  ): Promise<HttpRequest>;
  /** What a refusal means; 'retry' when another request may be answered. Null: what its status says. */
  explain?(status: number, text: string, headers: IncomingHttpHeaders): RondoError | 'retry' | null;
}

/** In all about a minute, for a bucket may be busy or its way away for a moment. */
export const httpPatience: HttpPatience = {
  tries: 8,
  backoffMs: 200,
  maxBackoffMs: 15_000,
  stallMs: 20_000,
};

/** A server that asks for more patience than this is told of instead. */
const maxRetryAfterMs = 60_000;

export interface FetchOptions {
  /** Null: all of it, from `from` on. */
  readonly range: ByteRange | null;
  /** Bytes that the sink has already. */
  readonly from?: number;
  readonly patience: HttpPatience;
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait of a second or more. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** The server answers with whole files only. */
export class RangesIgnored extends RondoError {
  constructor(name: string) {
    super('failed-precondition', `the server of ${name} gives no parts of files`);
  }
}

/** What a try came to: all that was wanted, or why not, and how long the server asks to wait. */
type Outcome = { readonly whole: true } | { readonly reason: string; readonly waitMs: number };

/**
 * Brings a file or a part of it (RFC 9110, 14). After a fault that passes (a broken or silent connection, 429,
 * 5xx) it goes on at the byte where it stopped, later and later and never in step with others. Rejects with a
 * RondoError that names the file: not-found, permission-denied, unavailable after `tries` tries in vain,
 * data-loss for a file that ends too soon, RangesIgnored.
 */
export async function fetchBytes(file: RemoteFile, sink: ByteSink, o: FetchOptions): Promise<void> {
  const start = o.range?.start ?? 0;
  const progress = { at: start + (o.from ?? 0), etag: null as string | null };
  await tryPatiently(`cannot read ${file.name}`, o, async () => {
    const before = progress.at;
    const outcome = await attempt(file, sink, progress, o);
    return { ...outcome, brought: progress.at > before };
  });
}

/** Bytes of a file, patient as `fetchBytes` is; it rejects as that does. */
export async function fetchSize(
  file: RemoteFile,
  o: Pick<FetchOptions, 'patience' | 'signal' | 'warn'>,
): Promise<number> {
  let size = 0;
  await tryPatiently(`cannot read ${file.name}`, o, async () => {
    let response: IncomingMessage | undefined;
    try {
      const asked = await file.request('HEAD', headersFor({ at: 0, etag: null }, null));
      response = await exchange(asked, { stallMs: o.patience.stallMs, signal: o.signal });
      const status = response.statusCode ?? 0;
      if (status !== 200) return await refuse(file, response, status);
      size = lengthOf(response) ?? 0;
      return { whole: true };
    } catch (error) {
      return failed(error, file, o.signal);
    } finally {
      response?.destroy();
    }
  });
  return size;
}

/**
 * Tries again until it is whole, later and later; a try that brought something is no try in vain.
 *
 * @throws RondoError unavailable after as many in vain as `patience` says.
 */
async function tryPatiently(
  what: string,
  { patience, signal, warn }: Pick<FetchOptions, 'patience' | 'signal' | 'warn'>,
  once: () => Promise<Outcome & { readonly brought?: boolean }>,
): Promise<void> {
  const { tries, backoffMs, maxBackoffMs } = patience;
  for (let failures = 0; ; ) {
    const outcome = await once();
    if ('whole' in outcome) return;
    if (outcome.brought) failures = 0;
    failures += 1;
    if (failures >= tries) {
      throw new RondoError('unavailable', `${what}: ${outcome.reason} (${tries} tries)`, {
        remedy: 'look after the server and the way to it, and resume the run: nothing is lost',
      });
    }
    const ceiling = Math.min(maxBackoffMs, backoffMs * 2 ** (failures - 1));
    const waitMs = Math.max(outcome.waitMs, Math.random() * ceiling);
    if (waitMs >= 1_000)
      warn?.(`${what}: ${outcome.reason}; trying again in ${Math.round(waitMs / 1_000)} s`);
    await sleep(waitMs, signal);
  }
}

async function attempt(
  file: RemoteFile,
  sink: ByteSink,
  progress: { at: number; etag: string | null },
  o: FetchOptions,
): Promise<Outcome> {
  const { range, patience, signal } = o;
  const wantsPart = range !== null || progress.at > 0;
  let response: IncomingMessage | undefined;
  try {
    const asked = await file.request('GET', headersFor(progress, range));
    response = await exchange(asked, { stallMs: patience.stallMs, signal });
    const status = response.statusCode ?? 0;
    if (status === 412) return await restart(sink, progress, range, 'it changed while it was read');
    if (status === 416 && range === null) {
      // What is there of it may be all of it, or something else.
      const total = /^bytes \*\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1];
      if (Number(total) === progress.at) return { whole: true };
      return await restart(sink, progress, range, 'it is shorter than what was there of it');
    }
    if (status === 416) throw endsTooSoon(file.name, progress.at);
    if (status !== 200 && status !== 206) return await refuse(file, response, status);
    if (status === 200 && wantsPart) throw new RangesIgnored(file.name);
    const etag = response.headers.etag ?? null;
    if (progress.etag !== null && etag !== progress.etag) {
      return await restart(sink, progress, range, 'it changed while it was read');
    }
    progress.etag = etag;
    const { from, total } = status === 206 ? parseRange(response) : { from: 0, total: lengthOf(response) };
    if (from !== progress.at)
      return { reason: `bytes from ${from} on came, not from ${progress.at}`, waitMs: 0 };
    if (range !== null && total !== null && total < range.end) throw endsTooSoon(file.name, total);
    const end = range?.end ?? total;
    for await (const part of response as AsyncIterable<Buffer>) {
      const wanted = end === null ? part : part.subarray(0, end - progress.at);
      await sink.write(wanted);
      progress.at += wanted.length;
    }
    if (end === null || progress.at === end) return { whole: true };
    return { reason: `${progress.at - (range?.start ?? 0)} bytes came, and then no more`, waitMs: 0 };
  } catch (error) {
    return failed(error, file, signal);
  } finally {
    response?.destroy();
  }
}

/** What a connection's end says is an outcome; the signal, and what another try will not change, are thrown. */
function failed(error: unknown, file: RemoteFile, signal: AbortSignal | undefined): Outcome {
  if (signal?.aborted) throw abortReason(signal, `reading ${file.name}`);
  if (error instanceof RondoError) throw error;
  const { code, message } = error as NodeJS.ErrnoException;
  return { reason: message || code || 'no connection', waitMs: 0 };
}

function headersFor(
  { at, etag }: { readonly at: number; readonly etag: string | null },
  range: ByteRange | null,
): Record<string, string> {
  // No content coding: ranges and lengths are those of the file itself.
  const headers = { 'user-agent': `rondo/${version}`, 'accept-encoding': 'identity' };
  if (range === null && at === 0) return headers;
  const wanted = { range: `bytes=${at}-${range === null ? '' : range.end - 1}` };
  return { ...headers, ...wanted, ...(etag === null || etag.startsWith('W/') ? {} : { 'if-match': etag }) };
}

async function restart(
  sink: ByteSink,
  progress: { at: number; etag: string | null },
  range: ByteRange | null,
  reason: string,
): Promise<Outcome> {
  await sink.restart();
  progress.at = range?.start ?? 0;
  progress.etag = null;
  return { reason, waitMs: 0 };
}

async function refuse(file: RemoteFile, response: IncomingMessage, status: number): Promise<Outcome> {
  const text = await readText(response);
  const meaning = file.explain?.(status, text, response.headers) ?? null;
  const reason = `the server answered ${status}`;
  if (meaning === 'retry') return { reason, waitMs: retryAfterMs(response) };
  if (meaning !== null) throw meaning;
  if (status === 408 || status === 429 || status >= 500) return { reason, waitMs: retryAfterMs(response) };
  throw refusal(status, file.name);
}

/** What a status says that another request will not change. */
function refusal(status: number, name: string): RondoError {
  if (status === 404 || status === 410) {
    return new RondoError('not-found', `there is no ${name} (${status})`, {
      remedy: 'check the address, and that all files of the pack were uploaded',
    });
  }
  const code = status === 401 || status === 403 ? 'permission-denied' : 'unavailable';
  return new RondoError(code, `the server refused ${name} (${status})`, {
    remedy:
      code === 'permission-denied'
        ? `give this machine the right to read it; a password or signature is not kept with a run: give --data with it again, or set ${accessVariable}`
        : undefined,
  });
}

function endsTooSoon(name: string, at: number): RondoError {
  return new RondoError('data-loss', `${name} ends at byte ${at}, before what its index names`, {
    remedy: 'upload it anew, and resume the run',
  });
}

/** Seconds or a date; bounded, for a run that waits for long should be looked at. */
function retryAfterMs({ headers }: IncomingMessage): number {
  const value = headers['retry-after'];
  if (value === undefined) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), maxRetryAfterMs) : 0;
}

function lengthOf({ headers }: IncomingMessage): number | null {
  const length = Number(headers['content-length']);
  return headers['content-length'] === undefined || Number.isNaN(length) ? null : length;
}

/** Of "bytes 100-999/1000"; a total that is not told is null. */
function parseRange({ headers }: IncomingMessage): { from: number; total: number | null } {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
  const total = Number(match?.[2]);
  return { from: Number(match?.[1] ?? -1), total: Number.isNaN(total) ? null : total };
}
