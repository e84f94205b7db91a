import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What goes wrong with one request. */
export interface FileFault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The connection is cut after so many bytes of the body. */
  readonly breakAfter?: number;
  /** Nothing more is sent after so many bytes of the body. */
  readonly stallAfter?: number;
  /** The answer says that it is whole after so many bytes. */
  readonly truncateAfter?: number;
  /** So much of the body is sent at a time, and nothing for `everyMs` before each. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number };
  /** This is sent instead. */
  readonly bytes?: Buffer;
}

export interface ServedRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  /** Of the body, handed to the connection. */
  sent: number;
}

export interface FileServer {
  readonly url: string;
  /** By path; may change at any time. */
  readonly files: Map<string, Buffer>;
  readonly requests: ServedRequest[];
  /** Says what goes wrong with a request; nothing by default. */
  fault: (request: ServedRequest, incoming: IncomingMessage) => FileFault | undefined;
  /** Whether parts are given. */
  ranges: boolean;
  /** Where files have no ETag: when they were changed last. */
  lastModified: string | null;
  /** Bytes of all bodies. */
  readonly sent: number;
  close(): Promise<void>;
}

/**
 * A file server on the loopback with ranges, ETags, conditions and faults; gone when the test ends.
 *
 * @param secure what it proves with, as https://localhost, who it is
 */
export async function startFileServer(
  files: Readonly<Record<string, Buffer>> = {},
  secure: { readonly certificate: string; readonly key: string } | null = null,
): Promise<FileServer> {
  const requests: ServedRequest[] = [];
  const sockets = new Set<Socket>();
  const served = {
    files: new Map(Object.entries(files)),
    requests,
    fault: (): FileFault | undefined => undefined,
    ranges: true,
    lastModified: null,
  } as Omit<FileServer, 'url' | 'sent' | 'close'>;
  const serve = (incoming: IncomingMessage, response: ServerResponse) => {
    const path = decodeURIComponent((incoming.url ?? '').replace(/\?.*/, ''));
    const request = { method: incoming.method ?? '', path, range: incoming.headers.range, sent: 0 };
    requests.push(request);
    const fault = served.fault(request, incoming);
    answer(incoming, response, request, served.files.get(path), fault, served);
  };
  const server =
    secure === null
      ? createServer(serve)
      : createSecureServer({ cert: secure.certificate, key: secure.key }, serve);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  onTestFinished(close);
  const origin = secure === null ? 'http://127.0.0.1' : 'https://localhost';
  const url = `${origin}:${(server.address() as AddressInfo).port}`;
  const whole = Object.assign(served, { url, close, sent: 0 });
  return Object.defineProperty(whole, 'sent', {
    get: () => requests.reduce((sum, request) => sum + request.sent, 0),
  });
}

function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  request: ServedRequest,
  file: Buffer | undefined,
  fault: FileFault | undefined,
  { ranges, lastModified }: Pick<FileServer, 'ranges' | 'lastModified'>,
): void {
  const status = fault?.status ?? (file === undefined ? 404 : 200);
  if (status !== 200 || file === undefined) {
    response.writeHead(status, fault?.headers).end(fault?.body);
    return;
  }
  const etag = `"${createHash('md5').update(file).digest('hex')}"`;
  if (lastModified === null) response.setHeader('etag', etag);
  else response.setHeader('last-modified', lastModified);
  const wanted = incoming.headers['if-match'];
  if (wanted !== undefined && wanted !== etag) {
    response.writeHead(412).end();
    return;
  }
  const whole = { start: 0, end: file.length };
  const range = ranges ? (parseRange(request.range, file.length) ?? whole) : whole;
  if (range.start >= range.end) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
    return;
  }
  if (range !== whole) {
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${range.start}-${range.end - 1}/${file.length}`);
  }
  const bytes = fault?.bytes ?? file.subarray(range.start, range.end);
  const cut = fault?.truncateAfter ?? bytes.length;
  response.setHeader('content-length', fault?.truncateAfter === undefined ? range.end - range.start : cut);
  response.flushHeaders();
  if (incoming.method === 'HEAD') {
    response.end();
    return;
  }
  sendBody(response, bytes.subarray(0, cut), request, fault);
}

/** Sends a body, or what a fault leaves of it, and counts. */
export function sendBody(
  response: ServerResponse,
  whole: Buffer,
  request: ServedRequest,
  { breakAfter, stallAfter, drip }: FileFault = {},
): void {
  if (drip !== undefined) {
    const timer = setInterval(() => {
      const part = whole.subarray(request.sent, request.sent + drip.bytes);
      request.sent += part.length;
      if (request.sent < whole.length) response.write(part);
      else response.end(part);
    }, drip.everyMs);
    response.on('close', () => clearInterval(timer));
    return;
  }
  const body = whole.subarray(0, breakAfter ?? stallAfter ?? whole.length);
  request.sent = body.length;
  if (breakAfter === undefined && stallAfter === undefined) {
    response.end(body);
    return;
  }
  response.write(body, () => {
    // A cut connection drops what its receiver has not read yet.
    if (breakAfter !== undefined) setTimeout(() => response.destroy(), 20);
  });
}

function parseRange(range: string | undefined, length: number): { start: number; end: number } | null {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (match === null) return null;
  return { start: Number(match[1]), end: match[2] === '' ? length : Math.min(Number(match[2]) + 1, length) };
}
