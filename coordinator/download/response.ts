import { RondoError } from '../../runtime/errors.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import type { Part } from './part-file.js';

/** What a server's answer to a request for a file, or for the rest of one, amounts to. */
export type Body =
  | { readonly kind: 'complete' }
  | {
      readonly kind: 'bytes';
      readonly stream: AsyncIterable<Uint8Array>;
      /** Where in the file the bytes begin. */
      readonly start: number;
      /** Bytes of the whole file; 0: not told. */
      readonly total: number;
      readonly validator: string;
    }
  /** The part is of no use. */
  | { readonly kind: 'restart'; readonly reason: string }
  | { readonly kind: 'later'; readonly reason: string };

/**
 * @throws RondoError for a refusal that another try will not change, or a file of another size than expected.
 */
export function findBody(
  response: Response,
  held: Part | null,
  expected: { url: string; bytes?: number },
): Body {
  const { status, headers, body } = response;
  const range = parseRange(headers.get('content-range'));
  if (status === 416 && held !== null) {
    // A part of unknown total may have been whole already.
    if (range.total === held.size) return { kind: 'complete' };
    return { kind: 'restart', reason: 'the server has no such range' };
  }
  if (status === 408 || status === 429 || status >= 500) {
    return { kind: 'later', reason: `the server answered ${status}` };
  }
  if ((status !== 200 && status !== 206) || body === null) throw refusal(status, maskUrls(expected.url));
  const start = status === 206 ? range.start : 0;
  if (start !== 0 && start !== held?.size) {
    return { kind: 'restart', reason: `the server sent bytes from ${start} on, which were not asked for` };
  }
  const total = status === 206 ? range.total : contentLength(headers);
  if (expected.bytes !== undefined && total !== 0 && total !== expected.bytes) {
    throw new RondoError(
      'data-loss',
      `${maskUrls(expected.url)} has ${total} bytes, expected ${expected.bytes}`,
      {
        remedy: 'this is another file than the one that Rondo knows; fetch it from its first publisher',
      },
    );
  }
  return { kind: 'bytes', stream: body, start, total, validator: findValidator(headers) };
}

/**
 * An ETag that stands for the very bytes, else the date; a weak ETag may not guard a range (RFC 9110,
 * 13.1.5).
 */
function findValidator(headers: Headers): string {
  const tag = headers.get('etag');
  return tag !== null && !tag.startsWith('W/') ? tag : (headers.get('last-modified') ?? '');
}

/** Of "bytes 100-999/1000" and "bytes *\/1000"; what is absent is 0. */
function parseRange(value: string | null): { start: number; total: number } {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(value ?? '');
  return { start: Number(match?.[1] ?? 0), total: Number(match?.[2] ?? 0) || 0 };
}

function contentLength(headers: Headers): number {
  // The length of what travels, not of the file, when the server compresses although it was asked not to.
  return headers.has('content-encoding') ? 0 : Number(headers.get('content-length') ?? 0);
}

function refusal(status: number, url: string): RondoError {
  if (status === 404 || status === 410) return new RondoError('not-found', `there is no ${url} (${status})`);
  const code = status === 401 || status === 403 ? 'permission-denied' : 'unavailable';
  return new RondoError(code, `the server refused ${url} (${status})`);
}
