import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCoordinator } from '../support/coordinator-process.js';
import { startFileServer } from '../support/file-server.js';
import { packFolder } from '../support/packing.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(60, 120);
const { data } = runs;
const work = mkdtempSync(path.join(tmpdir(), 'rondo-pack-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

it('a pack is trained on over HTTP to the same bits as the folder', async () => {
  const packed = path.join(work, 'trained-on');
  await packFolder(data, packed);
  const files = readdirSync(packed).map(
    (name) => [`/packed/${name}`, readFileSync(path.join(packed, name))] as const,
  );
  const server = await startFileServer(Object.fromEntries(files));
  const login = `Basic ${Buffer.from('ann:s3cret').toString('base64')}`;
  server.fault = (_request, { url, headers }) =>
    headers.authorization === login && url?.endsWith('?sig=s1gned') ? undefined : { status: 401 };
  const url = `${server.url.replace('//', '//ann:s3cret@')}/packed?sig=s1gned`;
  // A cache of its own: else the decoded images of the folder are found, and nothing is fetched.
  const train = (name: string, from: string, workers: string) =>
    runCoordinator(runs.start(name, from, '--epochs', '1', '--threads', '1', '--workers', workers), {
      RONDO_CACHE: path.join(work, `cache-${name}`),
      RONDO_LOG: 'debug',
    });
  expect((await train('folder', data, '1')).code).toBe(0);
  const { code, events, stdout: told, stderr: logged } = await train('packed', url, '2');
  expect(code).toBe(0);
  expect(events.filter(({ phase }) => phase === 'verifying')).toEqual([]);
  const [own, other] = [runs.run('packed'), runs.run('folder')];
  // The index and each image once, but for answers so slow that they were asked for twice: a few in a hundred.
  expect(new Set(server.requests.map(({ path, range }) => `${path} ${range}`)).size).toBe(181);
  expect(server.requests.length).toBeLessThanOrEqual(181 + 3 * (1 + 0.05 * 181));
  const samplesOf = (run: string) => readCommittedSteps(run).map(({ shares }) => shares.flat());
  expect(samplesOf(own)).toEqual(samplesOf(other));
  expect(samplesOf(own).flat()).toHaveLength(144);
  const digestOf = (run: string) => readSummaryFile(run).parameterDigest;
  expect(digestOf(own)).toMatch(/^[0-9a-f]{64}$/);
  expect(digestOf(own)).toBe(digestOf(other));
  expect(readFileSync(path.join(own, 'report', 'index.html'), 'utf8')).toContain('data:image/jpeg');

  // What proves the right to read is nowhere, and must be given again.
  const names = readdirSync(own, { recursive: true, encoding: 'utf8' });
  const written = names.map((name) => path.join(own, name)).filter((file) => statSync(file).isFile());
  const texts = [told, logged, ...written.map((file) => readFileSync(file, 'latin1'))];
  expect(texts.filter((text) => /s3cret|s1gned/.test(text) || text.includes(login))).toEqual([]);
  expect(readFileSync(path.join(own, 'run.json'), 'utf8')).toContain(`"data": "${server.url}/packed"`);
  const look = (env: Record<string, string>, ...more: string[]) =>
    runCoordinator(['verify-run', 'packed', '--run-dir', runs.root, ...more], env);
  const refused = await look({});
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('RONDO_DATA_ACCESS')]);
  const ends = [await look({ RONDO_DATA_ACCESS: url }), await look({}, '--data', url)];
  expect(ends.map(({ stdout, stderr }) => stdout + stderr)).toEqual(
    Array(2).fill(expect.stringContaining('180 images unchanged')),
  );

  const { code: verified, stdout } = await runCoordinator(
    ['verify-run', 'folder', '--data', packed, '--run-dir', runs.root],
    { RONDO_CACHE: path.join(work, 'cache') },
  );
  expect([verified, stdout]).toEqual([0, expect.stringContaining('180 images unchanged')]);
});
