import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type FileFault, type ServedRequest, sendBody } from './file-server.js';

export interface HttpRelay {
  readonly url: string;
  readonly requests: ServedRequest[];
  /** Bytes of all bodies. */
  readonly sent: number;
  /** Says what goes wrong with a request; nothing by default. */
  fault: (request: ServedRequest) => FileFault | undefined | Promise<FileFault | undefined>;
  close(): Promise<void>;
}

/** Stands before a real server: counts what it sends, and does to answers what networks and servers do. */
export async function startHttpRelay(target: string): Promise<HttpRelay> {
  const requests: ServedRequest[] = [];
  const sockets = new Set<Socket>();
  const relay = { requests, fault: (): FileFault | undefined => undefined } as unknown as HttpRelay;
  const server = createServer(async (incoming, response) => {
    const request = {
      method: incoming.method ?? '',
      path: decodeURIComponent((incoming.url ?? '').replace(/\?.*/, '')),
      range: incoming.headers.range,
      sent: 0,
    };
    requests.push(request);
    const fault = await relay.fault(request);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      incoming.resume();
      return;
    }
    const { hostname, port } = new URL(target);
    // The host is signed: it stays as the client has it.
    const options = {
      hostname,
      port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
    };
    const outgoing = forward(options, (answer) => pass(answer, response, request, fault));
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  Object.assign(relay, { url, close });
  return Object.defineProperty(relay, 'sent', {
    get: () => requests.reduce((sum, request) => sum + request.sent, 0),
  });
}

function pass(
  answer: IncomingMessage,
  response: ServerResponse,
  request: ServedRequest,
  fault: FileFault = {},
): void {
  const chunks: Buffer[] = [];
  answer.on('data', (chunk: Buffer) => chunks.push(chunk));
  answer.on('end', () => {
    const whole = fault.bytes ?? Buffer.concat(chunks);
    const headers = { ...answer.headers, ...fault.headers };
    const cut = fault.truncateAfter ?? whole.length;
    if (request.method !== 'HEAD') headers['content-length'] = String(Math.min(cut, whole.length));
    response.writeHead(answer.statusCode ?? 502, headers);
    if (request.method === 'HEAD') response.end();
    else sendBody(response, whole.subarray(0, cut), request, fault);
  });
}
