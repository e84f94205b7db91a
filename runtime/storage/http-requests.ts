import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { exchange, readText } from './http-exchange.js';
import {
  commonHeaders,
  failed,
  type RemoteFile,
  refuse,
  type TryOptions,
  tryPatiently,
} from './http-retry.js';
import type { RemoteDescription } from './store.js';

/** What a server tells of a file. Patient as `fetchBytes` is; it rejects as that does. */
export async function fetchHead(
  file: RemoteFile,
  o: TryOptions,
): Promise<RemoteDescription & { readonly headers: IncomingHttpHeaders }> {
  let headers: IncomingHttpHeaders = {};
  await tryPatiently(`cannot read ${file.name}`, o, async () => {
    let response: IncomingMessage | undefined;
    try {
      const asked = await file.request('HEAD', commonHeaders);
      response = await exchange(asked, { stallMs: o.patience.stallMs, signal: o.signal });
      const status = response.statusCode ?? 0;
      if (status !== 200) return await refuse(file, response, status);
      headers = response.headers;
      return { whole: true };
    } catch (error) {
      return failed(error, file, o.signal);
    } finally {
      response?.destroy();
    }
  });
  const version = headers.etag ?? headers['last-modified'] ?? null;
  return { bytes: Number(headers['content-length'] ?? 0), version, headers };
}

/** What is sent to a server: the answer's headers and text. Patient as `fetchBytes` is; it rejects as that does. */
export async function sendBytes(
  file: RemoteFile,
  { method, headers = {}, body, query }: SentBytes,
  o: TryOptions,
): Promise<{ readonly headers: IncomingHttpHeaders; readonly text: string }> {
  let answer: { readonly headers: IncomingHttpHeaders; readonly text: string } | undefined;
  await tryPatiently(`cannot write ${file.name}`, o, async () => {
    let response: IncomingMessage | undefined;
    try {
      const asked = await file.request(method, { ...commonHeaders, ...headers }, body, query);
      response = await exchange(asked, { stallMs: o.patience.stallMs, signal: o.signal });
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) return await refuse(file, response, status);
      const text = await readText(response);
      // S3 may find out that something failed after it has begun to answer.
      if (text.includes('<Error>')) return { reason: 'the server could not put it together', waitMs: 0 };
      answer = { headers: response.headers, text };
      return { whole: true };
    } catch (error) {
      return failed(error, file, o.signal);
    } finally {
      response?.destroy();
    }
  });
  return answer!;
}

export interface SentBytes {
  readonly method: 'PUT' | 'POST' | 'DELETE';
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
  readonly query?: Readonly<Record<string, string>>;
}
