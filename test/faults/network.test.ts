import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { canMakeMachines, type Machines, makeMachines } from '../support/machines.js';
import {
  cell,
  expectCommitted,
  expectLost,
  expectSentAway,
  faultsAt,
  openDisturbedRuns,
} from './disturbed-run.js';
import { faults } from './fault-table.js';

const disturbed = openDisturbedRuns();
/** Networks of other tests have the same addresses; what is left behind is looked for by address and port. */
const port = 10_000 + (process.pid % 20_000);
let machines: Machines | undefined;
afterEach(() => {
  machines?.destroy();
  machines = undefined;
});

describe.skipIf(!canMakeMachines())('two machines, of which one is cut off for a while', () => {
  for (const [ways, fault] of [
    ['one way', 'what a worker on another machine sends is lost for 6 s (partition, one way)'],
    ['both ways', 'a worker on another machine is cut off for 6 s (partition, both ways)'],
  ] as const) {
    for (const phase of faults[fault]) {
      cell(fault, phase, async () => {
        const file = path.join(disturbed.marks, `${ways}-${phase}`.replace(' ', '-'));
        machines = makeMachines(2);
        const [first, second] = machines.machines;
        const place = { within: first!.inside() };
        // The other machine could be through with the run before this one is back.
        const waiting = ['--min-workers', '2'];
        const more = [...waiting, '--listen', `${first!.address}:${port}`, '--local-workers', '1'];
        const run = disturbed.start({}, more, place);
        const { address, joining } = await run.coordinator.event(({ kind }) => kind === 'waiting');
        const { token, hash } = joining as { token: string; hash: string };
        // Rank 0 is the one that is there first: who is cut off is always the other.
        const environment = faultsAt({ fault: ways, point: phase, worker: 'guest', file });
        const line = `worker join --coordinator ${address} --token ${token} --ca-hash ${hash} --id guest`;
        const guest = machines.type(second!, line, { environment });
        await run.expectUnharmed();
        expectCommitted(file);
        const { code, stderr } = await guest.exited;
        expect(code, stderr).toBe(0);
        if (phase === 'joining') expectSentAway(run, stderr);
        else expectLost(run, 'guest');
        for (const { sharedMemory } of machines.machines) expect(readdirSync(sharedMemory)).toEqual([]);
      });
    }
  }
});
