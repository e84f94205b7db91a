import { RondoError } from './errors.js';

/** An address as people write it: `127.0.0.1:7070`, `localhost:0`, `[::1]:7070`. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Splits HOST:PORT. An IPv6 host stands in brackets.
 *
 * @throws RondoError invalid-argument, naming what was given.
 */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new RondoError('invalid-argument', `"${text}" is not an address of the form HOST:PORT`, {
      remedy: 'write it like 127.0.0.1:7070, or [::1]:7070; port 0 means any free port',
    });
  }
  return { host, port };
}

/** The inverse of `parseHostPort`. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What others are told of an address that is listened on, when they reach it by another host. */
export function advertisedAddress(bound: string, host: string | null): string {
  return host === null ? bound : formatHostPort({ host, port: parseHostPort(bound).port });
}

/** True for addresses that stand for every one of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * The address to listen on, when only this machine can reach it.
 *
 * @throws RondoError invalid-argument for what is no address, permission-denied beyond loopback.
 */
export function requireLoopback(address: string): HostPort {
  const parsed = parseHostPort(address);
  if (isLoopback(parsed.host)) return parsed;
  throw new RondoError(
    'permission-denied',
    `listening on ${address} would let the run's token and its data travel between machines unencrypted`,
    { remedy: 'use 127.0.0.1:PORT, or give every worker a certificate: see docs/operating.md' },
  );
}
