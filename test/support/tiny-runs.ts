import { rmSync } from 'node:fs';
import { afterAll, afterEach } from 'vitest';
import { killCoordinators } from './coordinator-process.js';
import { openQuickRuns, type QuickRuns } from './quick-run.js';
import { drawTinyFolder } from './tiny-folder.js';
import { killWorkers } from './worker-process.js';

export interface TinyRuns extends QuickRuns {
  /** `drawTinyFolder`'s. */
  readonly data: string;
}

/** Quick runs on a tiny folder, for the tests of a file: processes end with the test, and files after the last one. */
export async function openTinyRuns(perClass: number, side?: number): Promise<TinyRuns> {
  const runs = openQuickRuns();
  const data = await drawTinyFolder(perClass, side);
  afterEach(() => {
    killCoordinators();
    killWorkers();
  });
  afterAll(() => {
    runs.remove();
    rmSync(data, { recursive: true, force: true });
  });
  return { ...runs, data };
}
