import { RondoError } from '../errors.js';
import { createHedge } from './hedge.js';
import { exchange } from './http-exchange.js';
import { fetchBytes, httpPatience, RangesIgnored, type RemoteFile, refusal } from './http-reader.js';
import type { RemoteStore, Store, StoreOptions } from './store.js';

/** Longer parts are not asked for twice. */
const hedgedBytes = 8 << 20;

/** The files under a URL, `fileOf` telling how each is asked for. */
export function openRemote(
  place: string,
  fileOf: (name: string) => RemoteFile,
  o: StoreOptions = {},
): RemoteStore {
  const hedge = createHedge();
  const { patience = httpPatience, warn } = o;
  const read = async (name: string, range: Parameters<Store['read']>[1], signal?: AbortSignal) => {
    let parts: Buffer[] = [];
    const sink = {
      write: (bytes: Buffer) => void parts.push(bytes),
      restart: () => {
        parts = [];
      },
    };
    await fetchBytes(fileOf(name), sink, { range, patience, signal, warn });
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  };
  return {
    place,
    nameOf: (name) => fileOf(name).name,
    read(name, range, signal) {
      if (range === null || range.end - range.start > hedgedBytes) return read(name, range, signal);
      return hedge((either) => read(name, range, either), signal);
    },
    async fetch(name, sink, { from, signal }) {
      try {
        await fetchBytes(fileOf(name), sink, { range: null, from, patience, signal, warn });
      } catch (error) {
        if (!(error instanceof RangesIgnored)) throw error;
        await sink.restart();
        await fetchBytes(fileOf(name), sink, { range: null, patience, signal, warn });
      }
    },
    async sizeOf(name, signal) {
      const file = fileOf(name);
      const response = await exchange(await file.request('HEAD', { 'accept-encoding': 'identity' }), {
        stallMs: patience.stallMs,
        signal,
      }).catch((error: unknown) => {
        throw new RondoError('unavailable', `cannot reach ${file.name}: ${(error as Error).message}`);
      });
      response.destroy();
      if (response.statusCode === 200) return Number(response.headers['content-length'] ?? 0);
      throw refusal(response.statusCode ?? 0, file.name);
    },
    async close() {},
  };
}

/** The files under an http or https URL, whose query, a signature say, is sent with each request. */
export function openWebFolder(place: string, o: StoreOptions = {}): RemoteStore {
  if (!URL.canParse(place)) {
    throw new RondoError('invalid-argument', `${place} is no URL`, {
      remedy: 'give one such as https://data.example/packed',
    });
  }
  const base = new URL(place);
  const authorization: Record<string, string> =
    base.username === ''
      ? {}
      : {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`).toString('base64')}`,
        };
  base.username = '';
  base.password = '';
  const folder = base.pathname.replace(/\/*$/, '/');
  const fileOf = (name: string): RemoteFile => {
    const url = new URL(base);
    url.pathname = folder + name.split('/').map(encodeURIComponent).join('/');
    return {
      name: `${url.origin}${decodeURI(url.pathname)}`,
      request: async (method, headers) => ({ method, url, headers: { ...headers, ...authorization } }),
    };
  };
  return openRemote(`${base.origin}${base.pathname}`, fileOf, o);
}
