import path from 'node:path';
import { expect } from 'vitest';
import { cell, expectCommitted, faultAtWrite, openDisturbedRuns } from './disturbed-run.js';
import { type Write, writes } from './fault-table.js';

const disturbed = openDisturbedRuns();

/** Which write: what the disk is to have, or a name that it is to get; and how many of the kind come before it. */
const found: Record<Write, { readonly name: string; readonly at?: number; readonly only?: string }> = {
  'run.json': { name: '/run.json' },
  'images.sha256': { name: '/images.sha256' },
  'coordinator.json: its metrics server': { name: '/coordinator.json', at: 0 },
  'coordinator.json: its address': { name: '/coordinator.json', at: 1 },
  'coordinator.json: a worker that it started': { name: '/coordinator.json', at: 2 },
  'coordinator.json: a generation': { name: '/coordinator.json', at: 5 },
  // Its last: what the epoch's checkpoint promises.
  'ledger.jsonl': { name: '/ledger.jsonl', at: 2, only: 'sync' },
  "a checkpoint's state": { name: '/epoch-\\d+/state.safetensors', only: 'sync' },
  "a checkpoint's record": { name: '/epoch-\\d+/checkpoint.json', only: 'sync' },
  // The folder that it would replace is looked for first.
  "a checkpoint's name": { name: '/epoch-\\d+', at: 1, only: 'rename' },
  'summary.json': { name: '/summary.json' },
};

for (const [index, [write, places]] of Object.entries(writes).entries()) {
  const { name, at = 0, only } = found[write as Write];
  for (const place of places) {
    cell(write as Write, place, async () => {
      const operation = only ?? (place === 'before' ? 'sync' : 'rename');
      const file = path.join(disturbed.marks, `${index}-${place}`);
      const pattern = `^${operation} .*${name}$`;
      const run = disturbed.start(faultAtWrite(place, { pattern, at, file }));
      const { signal, stderr, code } = await run.exited();
      expectCommitted(file);
      expect(signal, `${stderr} ${code}`).toBe('SIGKILL');
      run.resume();
      await run.expectUnharmed();
    });
  }
}
