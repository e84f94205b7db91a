import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createAuthority, issuePair } from '../../../runtime/certificates.js';
import { openStore } from '../../../runtime/storage/open-store.js';
import { isRemote, type RemoteStore } from '../../../runtime/storage/store.js';
import { type FileFault, startFileServer } from '../../support/file-server.js';
import { makeFolder, sha256 } from '../../support/images.js';

const built = new URL('../../../dist/runtime/storage/open-store.js', import.meta.url).href;
const shard = randomBytes(300_000);
const patience = { tries: 4, backoffMs: 1, maxBackoffMs: 5, stallMs: 200 };

async function makeStore() {
  const server = await startFileServer({ '/packed/a b.tar': shard });
  const store = openStore(`${server.url}/packed/`, { patience });
  if (!isRemote(store)) throw new Error('a URL is no folder');
  /** Each once, in order. */
  const fail = (...faults: FileFault[]) => {
    server.fault = () => faults.shift();
  };
  return { server, store, fail };
}

const read = (store: RemoteStore, start = 1_000, end = 201_000) => store.read('a b.tar', { start, end });

describe('files of a web server', () => {
  it('are read in parts, of which no byte more is sent', async () => {
    const { server, store } = await makeStore();
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    expect(sha256(await store.read('a b.tar', null))).toBe(sha256(shard));
    expect(await store.sizeOf('a b.tar')).toBe(300_000);
    expect(server.requests.map(({ method, range, sent }) => [method, range, sent])).toEqual([
      ['GET', 'bytes=1000-200999', 200_000],
      ['GET', undefined, 300_000],
      ['HEAD', undefined, 0],
    ]);
  });

  it.each([
    ['a cut connection', { breakAfter: 70_000 }],
    ['a silent one', { stallAfter: 70_000 }],
    ['an answer that ends too soon', { truncateAfter: 70_000 }],
  ])('go on at the byte where they stopped after %s', async (_name, fault) => {
    const { server, store, fail } = await makeStore();
    fail(fault, fault);
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    expect(server.requests.map(({ range }) => range)).toEqual([
      'bytes=1000-200999',
      'bytes=71000-200999',
      'bytes=141000-200999',
    ]);
    expect(server.sent).toBe(200_000);
  });

  it('go on where they were after one that drips, and are given up after as many as bring too little', async () => {
    const { server, store, fail } = await makeStore();
    const drip = { bytes: 10, everyMs: 20 };
    fail({ drip }, { drip }, { drip: { bytes: 20_000, everyMs: 50 } });
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    const starts = server.requests.map(({ range }) => Number(/^bytes=(\d+)-/.exec(range!)![1]));
    expect(starts).toHaveLength(3);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts[1]).toBeGreaterThan(1_000);
    server.fault = () => ({ drip });
    await expect(read(store)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/a b.tar: only \d+ bytes came in 0.2 s \(4 tries\)/),
    });
  });

  it('are asked for again when the server is busy, for long when it says so', async () => {
    const { server, store, fail } = await makeStore();
    fail(
      { status: 503, headers: { 'retry-after': '0' } },
      { status: 429, headers: { 'retry-after': new Date(Date.now() - 1_000).toUTCString() } },
      { status: 500 },
    );
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    expect(server.requests).toHaveLength(4);
  });

  it('begin anew when they change while they are read', async () => {
    const { server, store, fail } = await makeStore();
    const other = randomBytes(shard.length);
    fail({ breakAfter: 70_000 });
    const { fault } = server;
    server.fault = (request, incoming) => {
      if (server.requests.length === 2) server.files.set('/packed/a b.tar', other);
      return fault(request, incoming);
    };
    expect(sha256(await read(store))).toBe(sha256(other.subarray(1_000, 201_000)));
    expect(server.requests.map(({ range }) => range)).toEqual([
      'bytes=1000-200999',
      'bytes=71000-200999',
      'bytes=1000-200999',
    ]);
  });

  it.each([
    [404, 'not-found', /there is no http:\/\/127.0.0.1:\d+\/packed\/a b.tar \(404\)/],
    [403, 'permission-denied', /refused .*a b.tar \(403\)/],
    [401, 'permission-denied', /refused .*a b.tar \(401\)/],
    [400, 'unavailable', /refused .*a b.tar \(400\)/],
  ])('are refused at once: %i', async (status, code, message) => {
    const { server, store, fail } = await makeStore();
    fail({ status });
    await expect(read(store)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(server.requests).toHaveLength(1);
  });

  it('are given up after tries that bring nothing, not after many that bring something', async () => {
    const { server, store } = await makeStore();
    server.fault = () => ({ status: 503 });
    await expect(read(store)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/a b.tar: the server answered 503 \(4 tries\)/),
    });
    expect(server.requests).toHaveLength(4);
    server.fault = () => ({ breakAfter: 20_000 });
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    await server.close();
    await expect(read(store)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('are not fetched again where all of them is there, and anew where there is more', async () => {
    const { server, store } = await makeStore();
    const fetched: Buffer[] = [];
    let restarts = 0;
    const sink = {
      write: (bytes: Buffer) => void fetched.push(bytes),
      restart: () => {
        restarts += 1;
      },
    };
    await store.fetch('a b.tar', sink, { from: 300_000 });
    expect([server.sent, restarts]).toEqual([0, 0]);
    await store.fetch('a b.tar', sink, { from: 300_001 });
    expect([server.sent, restarts]).toEqual([300_000, 1]);
    expect(sha256(Buffer.concat(fetched))).toBe(sha256(shard));
  });

  it('that end before the part does are named', async () => {
    const { store } = await makeStore();
    for (const [start, end] of [
      [299_000, 300_001],
      [300_000, 300_010],
    ] as const) {
      await expect(read(store, start, end)).rejects.toMatchObject({
        code: 'data-loss',
        message: expect.stringMatching(/a b.tar ends at byte 300000/),
      });
    }
  });

  it('are found where the server says that they have moved', async () => {
    const { server, store } = await makeStore();
    server.fault = ({ path }) =>
      path === '/packed/a b.tar' ? { status: 302, headers: { location: '/elsewhere' } } : undefined;
    server.files.set('/elsewhere', shard);
    expect(sha256(await read(store))).toBe(sha256(shard.subarray(1_000, 201_000)));
    server.fault = () => ({ status: 302, headers: { location: '/packed/a b.tar' } });
    await expect(read(store)).rejects.toMatchObject({
      message: expect.stringMatching(/redirects more than/),
    });
  });

  it('have user, password and query sent with each request, and to no other server', async () => {
    const { server } = await makeStore();
    const other = await startFileServer({ '/a b.tar': shard });
    const sent: (readonly [string | undefined, string | undefined])[] = [];
    const note: typeof server.fault = (_request, { url, headers }) => {
      sent.push([url, headers.authorization]);
      return undefined;
    };
    server.fault = note;
    other.fault = note;
    const place = `${server.url.replace('//', '//ann:pass%20word@')}/packed/?sig=s3cret`;
    const store = openStore(place, { patience });
    const login = `Basic ${Buffer.from('ann:pass word').toString('base64')}`;
    await store.read('a b.tar', { start: 0, end: 10 });
    expect(await store.sizeOf('a b.tar')).toBe(300_000);
    expect(sent).toEqual(Array(2).fill(['/packed/a%20b.tar?sig=s3cret', login]));
    for (const text of [store.place, store.nameOf('a b.tar')]) expect(text).not.toMatch(/ann|word|s3cret/);
    server.fault = (request, incoming) => {
      note(request, incoming);
      return { status: 302, headers: { location: `${other.url}/a%20b.tar` } };
    };
    await store.read('a b.tar', { start: 0, end: 10 });
    expect(sent.slice(2)).toEqual([
      ['/packed/a%20b.tar?sig=s3cret', login],
      ['/a%20b.tar', undefined],
    ]);
    server.fault = () => ({ status: 401 });
    await expect(store.read('a b.tar', null)).rejects.toSatisfy(
      ({ message, remedy }) =>
        /RONDO_DATA_ACCESS/.test(remedy) && !/ann|pass.word|s3cret/.test(`${message}${remedy}`),
    );
  });

  it('have their size told in spite of faults that pass', async () => {
    const { server, store, fail } = await makeStore();
    fail({ status: 503, headers: { 'retry-after': '0' } }, { status: 429 });
    expect(await store.sizeOf('a b.tar')).toBe(300_000);
    expect(server.requests).toHaveLength(3);
    server.fault = () => ({ status: 503 });
    await expect(store.sizeOf('a b.tar')).rejects.toMatchObject({ code: 'unavailable' });
    server.fault = () => ({ status: 403 });
    await expect(store.sizeOf('a b.tar')).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('are read over TLS, from a server that those prove who are trusted', async () => {
    const authority = await createAuthority('test');
    const pair = await issuePair(authority, { name: 'localhost', subject: 'server', lifetimeMs: 600_000 });
    const server = await startFileServer({ '/packed/a b.tar': shard }, pair);
    const store = openStore(`${server.url}/packed`, { patience });
    await expect(store.read('a b.tar', null)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/cannot read https:\/\/localhost.*certificate/),
    });
    expect(server.requests).toEqual([]);
    // Node.js reads whom it trusts when it starts.
    const trusted = path.join(await makeFolder(), 'authority.pem');
    await writeFile(trusted, authority.certificate);
    const script = `
    const { openStore } = await import(${JSON.stringify(built)});
    const store = openStore(process.argv[1]);
    process.stdout.write(await store.read('a b.tar', { start: 1_000, end: 201_000 }));`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', script, `${server.url}/packed`],
      { encoding: 'buffer', env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted } },
    );
    expect(sha256(stdout)).toBe(sha256(shard.subarray(1_000, 201_000)));
    expect(server.sent).toBe(200_000);
  });

  it('are no longer waited for when the signal comes', async () => {
    const { server, store } = await makeStore();
    const stop = new AbortController();
    server.fault = () => {
      stop.abort();
      return { stallAfter: 10 };
    };
    const reading = store.read('a b.tar', { start: 0, end: 1_000 }, stop.signal);
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    expect(server.requests).toHaveLength(1);
  });

  it('are asked for a second time when one answer takes far longer than the others', async () => {
    const server = await startFileServer({ '/a.tar': shard });
    const store = openStore(server.url, { patience: { ...patience, stallMs: 600_000 } });
    for (let at = 0; at < 20; at += 1) await store.read('a.tar', { start: at, end: at + 100 });
    let stalled = 0;
    server.fault = () => {
      stalled += 1;
      return stalled === 1 ? { stallAfter: 0 } : undefined;
    };
    expect(sha256(await store.read('a.tar', { start: 5, end: 105 }))).toBe(sha256(shard.subarray(5, 105)));
    expect(server.requests.slice(20).map(({ range }) => range)).toEqual(['bytes=5-104', 'bytes=5-104']);
  });
});
