import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { startBucketServer } from '../support/bucket-server.js';
import { startFileServer } from '../support/file-server.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const script = path.join(root, 'deploy/chart/files/preflight.mjs');

it('measures the bandwidth between two pods: both ends are content when the reader has seen enough', async () => {
  const port = await freePort();
  const environment = { PEER_HOST: '127.0.0.1', PEER_PORT: `${port}`, MINIMUM_BANDWIDTH: '0' };
  const lines = await Promise.all(
    ['0', '1'].map((JOB_COMPLETION_INDEX) =>
      measure('peer bandwidth', { ...environment, JOB_COMPLETION_INDEX }),
    ),
  );
  expect(lines).toEqual([
    expect.stringMatching(/^ok {6}peer bandwidth: sent \d+ MB to 127\.0\.0\.1$/),
    expect.stringMatching(/^ok {6}peer bandwidth: \d+ MB\/s .* from 127\.0\.0\.1$/),
  ]);
});

describe('the images, as workers read them,', () => {
  const look = (source: string, more: Record<string, string> = {}) =>
    measure('data', { DATA_SOURCE: source, ...more });
  const mounted = { DATA_IN_WORKERS: 'true' };

  it('may be the coordinator’s alone', async () => {
    expect(await look('/data/photos', { DATA_IN_WORKERS: 'false' })).toMatch(/^ok .*workers fetch from it$/);
  });

  it('may lie on a volume that is mounted, and is not empty', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rondo-preflight-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    expect(await look(folder, mounted)).toMatch(/^FAILED .* is empty/);
    writeFileSync(path.join(folder, 'cat.jpg'), 'an image');
    expect(await look(folder, mounted)).toMatch(/^ok .* is mounted here, with 1 files and folders$/);
    expect(await look(path.join(folder, 'absent'), mounted)).toMatch(/^FAILED .*ENOENT/);
  });

  it('may be on a web server, below a signed URL or one with a password, which no line repeats', async () => {
    const server = await startFileServer({ '/packed/index.rondo': Buffer.alloc(5_000) });
    const within = server.url.replace('//', '//ann:s3cret@');
    server.fault = (_, { url, headers }) =>
      url?.endsWith('?signature=s3cret') || headers.authorization === `Basic ${btoa('ann:s3cret')}`
        ? undefined
        : { status: 401 };
    const lines = await Promise.all([
      look(`${within}/packed/`),
      look(`${server.url}/packed?signature=s3cret`),
      look(`${server.url}/packed`),
      look(`${within}/elsewhere/index.rondo`),
    ]);
    expect(lines).toEqual([
      expect.stringMatching(/^ok .*127.*\/packed\/index\.rondo has 5000 bytes, /),
      expect.stringMatching(/^ok .*\/packed\/index\.rondo has 5000 bytes, /),
      expect.stringMatching(/^FAILED .*401/),
      expect.stringMatching(/^FAILED .*\/elsewhere\/index\.rondo/),
    ]);
    expect(lines.join()).not.toContain('s3cret');
    server.ranges = false;
    expect(await look(`${within}/packed`)).toMatch(/^ok .*the server gives whole files only$/);
  });

  it('may be tar files that nobody has indexed', async () => {
    const server = await startFileServer({ '/train-000.tar': Buffer.alloc(10_240) });
    expect(await look(`${server.url}/train-{000..146}.tar`)).toMatch(
      /^ok .*\/train-000\.tar has 10240 bytes/,
    );
    expect(await look(`${server.url}/valid-{000..146}.tar`)).toMatch(/^FAILED .*\/valid-000\.tar/);
  });

  it('may be in a bucket, which the pods’ credentials open', async () => {
    const bucket = await startBucketServer('photos', { 'packed/index.rondo': Buffer.alloc(5_000) });
    const credentials = {
      ...{ AWS_ENDPOINT_URL: bucket.url, AWS_REGION: bucket.region, AWS_EC2_METADATA_DISABLED: 'true' },
      ...{ AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG' },
      ...{ AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' },
    };
    expect(await look('s3://photos/packed', credentials)).toMatch(/^ok .*index\.rondo has 5000 bytes/);
    expect(await look('s3://photos/packed', { ...credentials, AWS_SECRET_ACCESS_KEY: 'other' })).toMatch(
      /^FAILED .*403/,
    );
  });
});

/** What a pod prints of one check. */
async function measure(check: string, environment: Record<string, string>): Promise<string | undefined> {
  const pod = spawn(process.execPath, [script, check], {
    env: { RONDO_APP: root, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void pod.kill('SIGKILL'));
  for await (const line of createInterface({ input: pod.stdout })) {
    if (line.includes(` ${check}: `)) return line;
  }
  return undefined;
}
