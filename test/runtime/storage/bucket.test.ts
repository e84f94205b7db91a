import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openStore } from '../../../runtime/storage/open-store.js';
import { type BucketServer, startBucketServer } from '../../support/bucket-server.js';
import { makeFolder, sha256 } from '../../support/images.js';

const shard = randomBytes(20_000);
const patience = { tries: 3, backoffMs: 1, maxBackoffMs: 5, stallMs: 10_000 };
const key = "packed/dir/it's (1)+ü.tar";

/** The environment of a machine that has nothing of AWS but what is given. */
async function useServer(server: BucketServer, more: Record<string, string> = {}): Promise<void> {
  const home = await makeFolder();
  const settings = {
    ...{ AWS_ENDPOINT_URL: server.url, AWS_REGION: server.region, AWS_EC2_METADATA_DISABLED: 'true' },
    ...{ AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG' },
    ...{
      AWS_CONFIG_FILE: path.join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: path.join(home, 'credentials'),
    },
  };
  for (const [name, value] of Object.entries({ ...settings, ...more })) vi.stubEnv(name, value);
}

const read = (place = 's3://photos/packed') =>
  openStore(place, { patience }).read("dir/it's (1)+ü.tar", { start: 100, end: 5_100 });

let server: BucketServer;
beforeEach(async () => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  server = await startBucketServer('photos', { [key]: shard });
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('files of a bucket', () => {
  it('are asked for with a signature', async () => {
    await useServer(server);
    expect(sha256(await read())).toBe(sha256(shard.subarray(100, 5_100)));
    expect(server.requests.map(({ sent }) => sent)).toEqual([5_000]);
  });

  it('are asked for with the session of a profile', async () => {
    await useServer(server, { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_PROFILE: 'team' });
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    server.keys.set('ASIATEAM', { secret: 'secret/2', token: 'session==' });
    await writeFile(
      process.env.AWS_SHARED_CREDENTIALS_FILE!,
      '[team]\naws_access_key_id = ASIATEAM\naws_secret_access_key = secret/2\naws_session_token = session==\n',
    );
    expect(sha256(await read())).toBe(sha256(shard.subarray(100, 5_100)));
  });

  it('are asked for in the region that the server names', async () => {
    await useServer(server, { AWS_REGION: 'us-west-2' });
    expect(sha256(await read())).toBe(sha256(shard.subarray(100, 5_100)));
    expect(server.requests).toHaveLength(2);
  });

  it.each([
    [
      'credentials that have expired',
      (s: BucketServer) => Object.assign(s.keys.get('AKIDEXAMPLE')!, { expired: true }),
      /have expired/,
      /aws sso login/,
    ],
    [
      'a key that nobody knows',
      (s: BucketServer) => s.keys.clear(),
      /InvalidAccessKeyId/,
      /AWS_ACCESS_KEY_ID/,
    ],
    [
      'a wrong secret',
      (s: BucketServer) => s.keys.set('AKIDEXAMPLE', { secret: 'x' }),
      /SignatureDoesNotMatch/,
      /AWS_SECRET/,
    ],
  ] as const)('are refused with the reason: %s', async (_name, change, message, remedy) => {
    await useServer(server);
    change(server);
    await expect(read()).rejects.toMatchObject({
      code: 'permission-denied',
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    });
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  it('are named with their bucket when that is gone', async () => {
    await useServer(server);
    await expect(read('s3://other/packed')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/there is no bucket other \(s3:\/\/other\/packed\/dir/),
    });
    server.files.clear();
    await expect(read()).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/s3:\/\/photos/),
    });
  });

  it('are waited for when the server asks to slow down', async () => {
    await useServer(server);
    const faults = [{ status: 503, body: '<Error><Code>SlowDown</Code></Error>' }, { breakAfter: 1_000 }];
    server.further = () => faults.shift();
    expect(sha256(await read())).toBe(sha256(shard.subarray(100, 5_100)));
    expect(server.sent).toBe(5_000);
  });

  it.each([
    ['SlowDown', 503],
    ['RequestTimeout', 400],
    ['ExpiredToken', 400],
    ['Throttling', 429],
  ])('are asked for again when Retry-After says so: %s', async (code, status) => {
    await useServer(server);
    const warned: string[] = [];
    let told = 0;
    server.further = () => {
      told += 1;
      const body = `<Error><Code>${code}</Code></Error>`;
      return told === 1 ? { status, body, headers: { 'retry-after': '1' } } : undefined;
    };
    const store = openStore('s3://photos/packed', { patience, warn: (text) => warned.push(text) });
    await store.read("dir/it's (1)+ü.tar", { start: 0, end: 10 });
    // Without the header it would not wait for a second, and say nothing.
    expect(warned).toEqual([expect.stringMatching(`${status}; trying again in 1 s`)]);
  });

  it('are asked for with the new key of a program that gives keys, once the server finds that one has expired', async () => {
    await useServer(server, { AWS_PROFILE: 'team' });
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    const given = path.join(await makeFolder(), 'given.json');
    const give = (key: string) =>
      JSON.stringify({
        ...{ Version: 1, AccessKeyId: key, SecretAccessKey: `secret/${key}`, SessionToken: `session/${key}` },
        Expiration: new Date(Date.now() + 3_600_000).toISOString(),
      });
    await writeFile(process.env.AWS_CONFIG_FILE!, `[profile team]\ncredential_process = cat ${given}\n`);
    for (const key of ['FIRST', 'SECOND']) {
      server.keys.set(key, { secret: `secret/${key}`, token: `session/${key}` });
    }
    const store = openStore('s3://photos/packed', { patience });
    const readSome = () => store.read("dir/it's (1)+ü.tar", { start: 0, end: 10 });
    await writeFile(given, give('FIRST'));
    await readSome();
    await writeFile(given, give('SECOND'));
    // The one that is known is used until it is refused.
    await readSome();
    server.keys.get('FIRST')!.expired = true;
    expect(await readSome()).toEqual(shard.subarray(0, 10));
    expect(server.requests.map(({ sent }) => sent)).toEqual([10, 10, 0, 10]);
    server.keys.get('SECOND')!.expired = true;
    await expect(readSome()).rejects.toMatchObject({ message: expect.stringMatching(/have expired/) });
  });

  it('are asked for in the region that a redirect names', async () => {
    await useServer(server);
    const other = await startBucketServer('photos', { [key]: shard });
    const { region } = server;
    server.region = 'eu-west-3';
    server.fault = () => ({
      status: 307,
      headers: { location: `${other.url}/photos`, 'x-amz-bucket-region': 'eu-west-3' },
    });
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
    expect([region, other.requests.length]).toEqual(['eu-central-1', 0]);
  });

  it('of a public bucket need no credentials', async () => {
    await useServer(server);
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    server.isPublic = true;
    expect(sha256(await read())).toBe(sha256(shard.subarray(100, 5_100)));
  });
});
