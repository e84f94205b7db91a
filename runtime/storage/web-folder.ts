import { RondoError } from '../errors.js';
import { maskUrls } from '../mask-urls.js';
import { createHedge } from './hedge.js';
import { fetchBytes, RangesIgnored } from './http-reader.js';
import { fetchHead } from './http-requests.js';
import { httpPatience, type RemoteFile } from './http-retry.js';
import type { RemoteStore, Store, StoreOptions } from './store.js';
import { accessUrl } from './url-access.js';

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
  const describe = (name: string, signal?: AbortSignal) =>
    fetchHead(fileOf(name), { patience, signal, warn });
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
    describe,
    sizeOf: async (name, signal) => (await describe(name, signal)).bytes,
    async close() {},
  };
}

/**
 * The files under an http or https URL, whose query, a signature say, is sent with each request, as are user and
 * password: those in the URL, or those known for it (`accessUrl`). No message holds them.
 */
export function openWebFolder(place: string, o: StoreOptions = {}): RemoteStore {
  if (!URL.canParse(place)) {
    throw new RondoError('invalid-argument', `${maskUrls(place)} is no URL`, {
      remedy: 'give one such as https://data.example/packed',
    });
  }
  const base = new URL(accessUrl(place));
  const { username, password } = base;
  const login = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64');
  const authorization: Record<string, string> =
    username === '' && password === '' ? {} : { authorization: `Basic ${login}` };
  base.username = '';
  base.password = '';
  const folder = base.pathname.replace(/\/*$/, '/');
  const fileOf = (name: string): RemoteFile => {
    const url = new URL(base);
    url.pathname = folder + name.split('/').map(encodeURIComponent).join('/');
    return {
      name: `${url.origin}${decoded(url.pathname, decodeURI)}`,
      request: async (method, headers) => ({ method, url, headers: { ...headers, ...authorization } }),
    };
  };
  return openRemote(`${base.origin}${base.pathname}`, fileOf, o);
}

/** What is no escape stands for itself. */
function decoded(text: string, decode = decodeURIComponent): string {
  try {
    return decode(text);
  } catch {
    return text;
  }
}
