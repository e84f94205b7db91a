import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20); // 48 training images: 3 steps
const { data } = runs;

it('a run whose image is gone ends, names it, and says how to go on', async () => {
  const coordinator = startCoordinator(
    runs.start('gone', data, '--workers', '1', '--local-workers', '0', '--epochs', '1'),
  );
  // All images were read to verify them, and no worker reads any before it has joined.
  const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
  const [folder, away] = [path.join(data, 'green'), path.join(data, '..', `${path.basename(data)}-away`)];
  renameSync(folder, away);
  const joined = joinWorker(waiting, { inputs: ['--cache-gib', '0'] });
  const { code, stderr } = await coordinator.exited;
  await joined.exited;
  rmSync(away, { recursive: true });

  expect(code).toBe(2);
  expect(stderr).toMatch(/failed at step 0: image \S+\/green\/\d+\.jpg is gone/);
  expect(stderr).toMatch(/put the file back as it was, and resume the run/);
  expect(readSummaryFile(runs.run('gone'))).toMatchObject({ status: 'failed', steps: 0 });
});
