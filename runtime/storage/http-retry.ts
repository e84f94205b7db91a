import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { abortReason, sleep } from '../deadline.js';
import { RondoError } from '../errors.js';
import { version } from '../installation.js';
import { type HttpRequest, readText } from './http-exchange.js';
import type { HttpPatience } from './store.js';
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
    query?: Readonly<Record<string, string>>,
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

/** How long a request is tried. */
export interface TryOptions {
  readonly patience: HttpPatience;
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait of a second or more. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** What a try came to: all that was wanted, or why not, and how long the server asks to wait. */
export type Outcome = { readonly whole: true } | { readonly reason: string; readonly waitMs: number };

/** No content coding: ranges and lengths are those of the file itself. */
export const commonHeaders = { 'user-agent': `rondo/${version}`, 'accept-encoding': 'identity' };

/**
 * Tries again until it is whole, later and later; a try that brought something is no try in vain.
 *
 * @throws RondoError unavailable after as many in vain as `patience` says.
 */
export async function tryPatiently(
  what: string,
  { patience, signal, warn }: TryOptions,
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

/** What a connection's end says is an outcome; the signal, and what another try will not change, are thrown. */
export function failed(error: unknown, file: RemoteFile, signal: AbortSignal | undefined): Outcome {
  if (signal?.aborted) throw abortReason(signal, `reading ${file.name}`);
  if (error instanceof RondoError) throw error;
  const { code, message } = error as NodeJS.ErrnoException;
  return { reason: message || code || 'no connection', waitMs: 0 };
}

/** What an answer other than what was asked for comes to; thrown where another request will not change it. */
export async function refuse(file: RemoteFile, response: IncomingMessage, status: number): Promise<Outcome> {
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

/** Seconds or a date; bounded, for a run that waits for long should be looked at. */
function retryAfterMs({ headers }: IncomingMessage): number {
  const value = headers['retry-after'];
  if (value === undefined) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), maxRetryAfterMs) : 0;
}
