import { readdirSync, readFileSync, rmSync, truncateSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { killCoordinators, startCoordinator } from '../support/coordinator-process.js';
import { makeFolder } from '../support/images.js';
import { openQuickRuns } from '../support/quick-run.js';
import { openImages } from '../support/small-dataset.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { joinWorker, killWorkers } from '../support/worker-process.js';

const runs = openQuickRuns();
const preload = new URL('../support/crash-at-image.mjs', import.meta.url).href;
/** A JPEG may have anything behind its end: so few files are many bytes, and verified by a process. */
const [paddedFiles, paddedBytes] = [9, 30 << 20];
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(20);
  for (const name of readdirSync(path.join(data, 'red')).slice(0, paddedFiles)) {
    truncateSync(path.join(data, 'red', name), paddedBytes);
  }
});
afterEach(() => {
  killCoordinators();
  killWorkers();
});
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it('a run begins without an image that makes the decoder crash, and names it', async () => {
  const [poison] = readdirSync(path.join(data, 'green'));
  const coordinator = startCoordinator(runs.start('crash', data, '--workers', '1', '--skip-broken'), {
    NODE_OPTIONS: `--import ${preload}`,
    RONDO_TEST_CRASH: 'SIGSEGV',
    RONDO_TEST_CRASH_AT: `/green/${poison}`,
  });
  const prepared = await coordinator.event(({ kind }) => kind === 'prepared');
  coordinator.kill('SIGINT');
  const { code, stderr, events } = await coordinator.exited;
  expect(code, stderr).toBe(130);
  expect([prepared.train, prepared.valid, prepared.quarantined]).toEqual([47, 12, 1]);
  const named = {
    path: `green/${poison}`,
    reason: 'cannot be decoded: the process that decodes it was ended by SIGSEGV',
  };
  expect(events.filter(({ kind }) => kind === 'quarantined')).toEqual([{ kind: 'quarantined', ...named }]);
  expect(readFileSync(path.join(runs.run('crash'), 'quarantined.jsonl'), 'utf8')).toBe(
    `${JSON.stringify(named)}\n`,
  );
});

it('workers that join before the data set is known verify it, also where the coordinator itself is stuck', async () => {
  const { dataset } = await openImages(data, { cacheDir: await makeFolder() });
  // What was found before counts no more.
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    utimesSync(path.join(data, name), 1e9, 1e9);
  }
  const port = await freePort();
  const coordinator = startCoordinator(
    runs
      .start('early', data, '--workers', '1', '--local-workers', '0', '--epochs', '1')
      .concat(...['--listen', `0.0.0.0:${port}`, '--advertise', `127.0.0.1:${port}`]),
    // At the first image its own process stops.
    { NODE_OPTIONS: `--import ${preload}`, RONDO_TEST_CRASH: 'SIGSTOP', RONDO_TEST_CRASH_AT: '/' },
  );
  const { address, joining } = await coordinator.event(({ kind }) => kind === 'waiting');
  const { token, hash } = joining as { token: string; hash: string };
  const guest = joinWorker(address as string, {
    inputs: ['--token', token, '--ca-hash', hash, '--data-root', path.join(data, 'nowhere')],
    environment: { RONDO_LOG: 'info' },
  });
  // It goes on with the run itself.
  await guest.printed('"event":"welcome"');
  coordinator.kill('SIGINT');
  const { code, stderr, events } = await coordinator.exited;
  expect(code, stderr).toBe(130);
  await guest.exited;
  const verified = /"event":"verified images for the coordinator","asked":(\d+),"sent":(\d+)/;
  const [, , sent] = await guest.printed(verified);
  expect(Number(sent)).toBe(60);
  const kinds = events.map(({ kind }) => kind);
  expect(kinds.indexOf('waiting')).toBeLessThan(kinds.indexOf('prepared'));
  expect(kinds.lastIndexOf('waiting')).toBe(kinds.indexOf('waiting'));
  const record = readFileSync(path.join(runs.run('early'), 'run.json'), 'utf8');
  expect(JSON.parse(record)).toMatchObject({ datasetDigest: dataset.digest });
});
