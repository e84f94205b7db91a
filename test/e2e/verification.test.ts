import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { startCoordinator } from '../support/coordinator-process.js';
import { makeFolder } from '../support/images.js';
import { openImages } from '../support/small-dataset.js';
import { forgetFindings, padImages } from '../support/tiny-folder.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20);
const { data } = runs;
padImages(data);
const preload = new URL('../support/crash-at-image.mjs', import.meta.url).href;

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
  forgetFindings(data);
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
