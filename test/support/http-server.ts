import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What goes wrong with one request. */
export interface Fault {
  /** The connection is cut after so many bytes of the body... */
  readonly breakAfter?: number;
  /** ...but not before this: a cut connection drops what its receiver has not read yet. */
  readonly breakWhen?: Promise<unknown>;
  /** Nothing more is sent after so many bytes of the body; the connection stays open. */
  readonly stallAfter?: number;
  readonly status?: number;
}

export interface ServedFile {
  readonly bytes: Uint8Array;
  /** Answer every request with the whole file. */
  readonly ignoresRange?: boolean;
  /** Null: none. */
  readonly etag?: string | null;
  readonly lastModified?: string;
  /** Say so instead of the true length. */
  readonly contentLength?: number;
  /** Send no length at all. */
  readonly chunked?: boolean;
}

export interface RecordedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the answer. */
  readonly status: number;
}

export interface HttpServer {
  readonly url: string;
  /** What is served, by path; may change at any time. */
  readonly files: Map<string, ServedFile>;
  /** One is used up by each request, in order; then all goes well. */
  readonly faults: Fault[];
  readonly requests: RecordedRequest[];
  close(): Promise<void>;
}

/** A file server on the loopback with ranges, conditional ranges and faults; gone when the test ends. */
export async function startHttpServer(files: Readonly<Record<string, ServedFile>> = {}): Promise<HttpServer> {
  const served = new Map(Object.entries(files));
  const faults: Fault[] = [];
  const requests: RecordedRequest[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const fault = faults.shift() ?? {};
    answer(response, request.headers, served.get(path), fault);
    requests.push({ path, headers: request.headers, status: response.statusCode });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(close);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, files: served, faults, requests, close };
}

function answer(
  response: ServerResponse,
  headers: IncomingHttpHeaders,
  file: ServedFile | undefined,
  fault: Fault,
): void {
  const status = fault.status ?? (file === undefined ? 404 : 200);
  if (status !== 200 || file === undefined) {
    response.writeHead(status).end();
    return;
  }
  const { bytes, etag = '"1"', lastModified } = file;
  if (etag !== null) response.setHeader('etag', etag);
  if (lastModified !== undefined) response.setHeader('last-modified', lastModified);
  const start = rangeStart(headers, file);
  if (start >= bytes.length && start > 0) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  if (start > 0) {
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  }
  if (!file.chunked) response.setHeader('content-length', file.contentLength ?? bytes.length - start);
  send(response, bytes.subarray(start), fault);
}

function rangeStart(headers: IncomingHttpHeaders, file: ServedFile): number {
  const match = /^bytes=(\d+)-$/.exec(headers.range ?? '');
  if (match === null || file.ignoresRange) return 0;
  const { etag = '"1"', lastModified } = file;
  const condition = headers['if-range'];
  const same = condition === undefined || condition === etag || condition === lastModified;
  return same ? Number(match[1]) : 0;
}

function send(response: ServerResponse, bytes: Uint8Array, fault: Fault): void {
  // Before the body: else Node adds the length by itself, and nothing at all leaves when the body is cut to
  // nothing.
  response.flushHeaders();
  const limit = fault.breakAfter ?? fault.stallAfter;
  if (limit === undefined) {
    response.end(bytes);
    return;
  }
  response.write(bytes.subarray(0, limit), async () => {
    if (fault.breakAfter === undefined) return;
    await fault.breakWhen;
    response.destroy();
  });
}
