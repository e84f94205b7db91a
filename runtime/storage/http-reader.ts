import type { IncomingMessage } from 'node:http';
import { RondoError } from '../errors.js';
import { exchange } from './http-exchange.js';
import {
  commonHeaders,
  failed,
  type Outcome,
  type RemoteFile,
  refuse,
  type TryOptions,
  tryPatiently,
} from './http-retry.js';
import type { ByteRange, ByteSink } from './store.js';

export interface FetchOptions extends TryOptions {
  /** Null: all of it, from `from` on. */
  readonly range: ByteRange | null;
  /** Bytes that the sink has already. */
  readonly from?: number;
}

/** The server answers with whole files only. */
export class RangesIgnored extends RondoError {
  constructor(name: string) {
    super('failed-precondition', `the server of ${name} gives no parts of files`);
  }
}

/**
 * Brings a file or a part of it (RFC 9110, 14). After a fault that passes (a broken, silent or dripping connection,
 * 429, 5xx) it goes on at the byte where it stopped, later and later and never in step with others. Rejects with a
 * RondoError that names the file: not-found, permission-denied, unavailable after `tries` tries in vain,
 * data-loss for a file that ends too soon, RangesIgnored.
 */
export async function fetchBytes(file: RemoteFile, sink: ByteSink, o: FetchOptions): Promise<void> {
  const start = o.range?.start ?? 0;
  const progress = { at: start + (o.from ?? 0), etag: null as string | null };
  await tryPatiently(`cannot read ${file.name}`, o, async () => {
    const before = progress.at;
    const outcome = await attempt(file, sink, progress, o);
    return { brought: progress.at > before, ...outcome };
  });
}

/** A connection that brings less while `stallMs` are waited for its bytes is given up. */
const leastBytesPerSecond = 1_000;

/** Tells, part by part, when a body's sender is too slow. What is done with a part meanwhile does not count. */
function watchRate(stallMs: number) {
  const least = (leastBytesPerSecond * stallMs) / 1_000;
  let [waitedMs, bytes, hadEnough] = [0, 0, false];
  let since = performance.now();
  return {
    /** Told of a part; what the try comes to where it came too slowly: in vain, unless it was fast enough before. */
    received(count: number): (Outcome & { readonly brought: boolean }) | null {
      waitedMs += performance.now() - since;
      bytes += count;
      if (waitedMs < stallMs) return null;
      const came = bytes;
      [waitedMs, bytes] = [0, 0];
      if (came < least) {
        const reason = `only ${came} bytes came in ${stallMs / 1_000} s`;
        return { reason, waitMs: 0, brought: hadEnough };
      }
      hadEnough = true;
      return null;
    },
    /** From now on the sender is waited for. */
    wait() {
      since = performance.now();
    },
  };
}

async function attempt(
  file: RemoteFile,
  sink: ByteSink,
  progress: { at: number; etag: string | null },
  o: FetchOptions,
): Promise<Outcome & { readonly brought?: boolean }> {
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
    const rate = watchRate(patience.stallMs);
    for await (const part of response as AsyncIterable<Buffer>) {
      const tooSlow = rate.received(part.length);
      const wanted = end === null ? part : part.subarray(0, end - progress.at);
      await sink.write(wanted);
      progress.at += wanted.length;
      if (tooSlow !== null && progress.at !== end) return tooSlow;
      rate.wait();
    }
    if (end === null || progress.at === end) return { whole: true };
    return { reason: `${progress.at - (range?.start ?? 0)} bytes came, and then no more`, waitMs: 0 };
  } catch (error) {
    return failed(error, file, signal);
  } finally {
    response?.destroy();
  }
}

function headersFor(
  { at, etag }: { readonly at: number; readonly etag: string | null },
  range: ByteRange | null,
): Record<string, string> {
  if (range === null && at === 0) return commonHeaders;
  const wanted = { range: `bytes=${at}-${range === null ? '' : range.end - 1}` };
  return {
    ...commonHeaders,
    ...wanted,
    ...(etag === null || etag.startsWith('W/') ? {} : { 'if-match': etag }),
  };
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

function endsTooSoon(name: string, at: number): RondoError {
  return new RondoError('data-loss', `${name} ends at byte ${at}, before what its index names`, {
    remedy: 'upload it anew, and resume the run',
  });
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
