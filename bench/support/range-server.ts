import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

export interface RangeServer {
  readonly url: string;
  /** Bytes of all bodies so far. */
  readonly sent: number;
  readonly requests: number;
  close(): Promise<void>;
}

/** Serves a folder on the loopback, whole files and parts, and counts. */
export async function startRangeServer(folder: string): Promise<RangeServer> {
  const counts = { sent: 0, requests: 0 };
  const server = createServer((request, response) => {
    counts.requests += 1;
    const file = path.join(folder, path.normalize(decodeURIComponent((request.url ?? '').split('?')[0]!)));
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = Number(range?.[1] ?? 0);
    const end = range?.[2] ? Math.min(Number(range[2]) + 1, size) : size;
    const headers = { 'content-length': end - start, etag: `"${size}"`, 'accept-ranges': 'bytes' };
    response.writeHead(range === null ? 200 : 206, {
      ...headers,
      ...(range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    });
    if (request.method === 'HEAD' || end <= start) {
      response.end();
      return;
    }
    const stream = createReadStream(file, { start, end: end - 1, highWaterMark: 1 << 18 });
    stream.on('data', (part) => {
      counts.sent += part.length;
    });
    stream.on('error', () => response.destroy());
    stream.pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return Object.defineProperties({ url, close } as RangeServer, {
    sent: { get: () => counts.sent },
    requests: { get: () => counts.requests },
  });
}
