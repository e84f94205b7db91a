import { createServer, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { RondoError } from './errors.js';
import { formatHostPort, parseHostPort } from './host-port.js';

export const healthPages = '/healthz, /readyz and /metrics';

/** What a program answers to those that look after it. */
export interface Health {
  /** Null when it does what it is there for; else what it waits for, in words. */
  waitsFor(): string | null;
  readonly metrics: Registry;
}

/** An open port for probes and for Prometheus. */
export interface HealthServer {
  /** HOST:PORT. */
  readonly address: string;
  /** Cuts connections off. Safe to call twice. */
  close(): void;
}

/** A probe comes alone, Prometheus with one or two. */
const maxConnections = 32;
const requestMs = 5_000;
const plain = 'text/plain; charset=utf-8';

/**
 * Serves plain HTTP to anybody: GET /healthz (200 whenever the event loop turns), /readyz (200 or 503, with the
 * reason) and /metrics (Prometheus' text format). It says nothing that is secret, and takes nothing.
 *
 * @throws RondoError failed-precondition when the address cannot be listened on.
 */
export function serveHealth(address: string, health: Health): Promise<HealthServer> {
  const server = createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      keepAliveTimeout: requestMs,
      maxHeaderSize: 8_192,
    },
    async ({ method, url }, response) => {
      if (method !== 'GET' && method !== 'HEAD') return answer(response, 405, 'only GET is served\n');
      switch (url?.split('?')[0]) {
        case '/healthz':
          return answer(response, 200, 'alive\n');
        case '/readyz': {
          const reason = health.waitsFor();
          return answer(response, reason === null ? 200 : 503, `${reason ?? 'ready'}\n`);
        }
        case '/metrics':
          try {
            return answer(response, 200, await health.metrics.metrics(), health.metrics.contentType);
          } catch (thrown) {
            return answer(response, 500, `${RondoError.from(thrown).message}\n`);
          }
        default:
          return answer(response, 404, `served are ${healthPages}\n`);
      }
    },
  );
  server.maxConnections = maxConnections;
  const { host, port } = parseHostPort(address);
  return new Promise((resolve, reject) => {
    server.once('error', ({ message }) =>
      reject(
        new RondoError('failed-precondition', `--health cannot be served on ${address}: ${message}`, {
          remedy: 'give it another port',
        }),
      ),
    );
    server.listen(port, host, () => {
      // Probes must not keep a finished program alive.
      server.unref();
      const bound = server.address();
      if (bound === null || typeof bound === 'string') throw new Error('a listening server has an address');
      resolve({
        address: formatHostPort({ host, port: bound.port }),
        close() {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

function answer(response: ServerResponse, status: number, body: string, type = plain): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}
