import { readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, startCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

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
afterEach(killCoordinators);
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
