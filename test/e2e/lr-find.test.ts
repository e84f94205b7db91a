import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { startCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(25);
const { data } = runs;

describe('coordinator lr-find', () => {
  it('ends at once when it is told to, and leaves nothing behind', async () => {
    const out = path.join(runs.root, 'stopped');
    const coordinator = startCoordinator(runs.findRate(out, data, '--workers', '2'));
    await coordinator.event((event) => event.kind === 'dataset' && event.phase === 'trying');
    const processes = descendantsOf(coordinator.pid);
    expect(processes.filter(({ command }) => command.includes('worker/main.js join'))).toHaveLength(2);
    coordinator.kill('SIGINT');
    const { code } = await coordinator.exited;
    expect(code).toBe(130);
    for (const { pid } of processes) expect(isAlive(pid)).toBe(false);
    expect(existsSync(path.join(out, 'lr-find.json'))).toBe(false);
  });
});
