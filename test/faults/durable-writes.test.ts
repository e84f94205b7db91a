import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { runCoordinator } from '../support/coordinator-process.js';
import { cell, expectCommitted, faultAtWrite, openDisturbedRuns, recordingWrites } from './disturbed-run.js';
import { type Write, writes } from './fault-table.js';

const disturbed = openDisturbedRuns();

/** Of runs that others join, which alone have an identity. */
const open = ['--listen', '0.0.0.0:0', '--local-workers', '2'];
/** Of runs that begin with another one's weights, and have phases. */
const phased = [
  ...['--from', disturbed.runs.run('source'), '--freeze-epochs', '1', '--epochs', '1'],
  ...['--keep-best', 'valid_loss'],
];

/** Which write: what the disk is to have, or a name that it is to get; and how many of the kind come before it. */
interface Found {
  readonly name: string;
  readonly at?: number;
  readonly only?: string;
  readonly recipe?: readonly string[];
}

const found: Record<Write, Found> = {
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
  'identity/authority.pem': { name: '/identity/authority.pem', recipe: open },
  "a join token's record": { name: '/identity/tokens/\\w+.json', recipe: open },
  'identity/reach.json': { name: '/identity/reach.json', recipe: open },
  'initial.safetensors': { name: '/initial.safetensors', recipe: phased },
  'the name of a phase that has ended': {
    ...{ name: '/checkpoints/stage-1', at: 1, only: 'rename', recipe: phased },
  },
  'the name of the best epoch': {
    ...{ name: '/checkpoints/best', at: 1, only: 'rename', recipe: phased },
  },
};

/** What else is written for good, and needs no cell. */
const others = [
  // As an epoch's.
  '/stage-1/(state.safetensors|checkpoint.json)',
  // After the run's end, from what it has left; `interpret` draws it again.
  '/report',
];

beforeAll(async () => {
  const { runs, data } = disturbed;
  const { code, stderr } = await runCoordinator(runs.start('source', data, '--epochs', '1'));
  expect(code, stderr).toBe(0);
});

it('there is a cell for all that a run writes for good', async () => {
  const file = path.join(disturbed.marks, 'writes');
  const run = disturbed.start(recordingWrites(file), [...open, ...phased]);
  const { code, stderr } = await run.exited();
  expect(code, stderr).toBe(0);
  const written = readFileSync(file, 'utf8').trim().split('\n');
  const names = [...Object.values(found).map(({ name }) => name), ...others];
  const isOf = (line: string, name: string) => new RegExp(`^(sync|rename) .*${name}$`).test(line);
  expect(names.filter((name) => !written.some((line) => isOf(line, name)))).toEqual([]);
  expect(written.filter((line) => !names.some((name) => isOf(line, name)))).toEqual([]);
});

for (const [index, [write, places]] of Object.entries(writes).entries()) {
  const { name, at = 0, only, recipe = [] } = found[write as Write];
  for (const place of places) {
    cell(write as Write, place, async () => {
      const operation = only ?? (place === 'before' ? 'sync' : 'rename');
      const file = path.join(disturbed.marks, `${index}-${place}`);
      const pattern = `^${operation} .*${name}$`;
      const run = disturbed.start(faultAtWrite(place, { pattern, at, file }), recipe);
      const { signal, stderr, code } = await run.exited();
      expectCommitted(file);
      expect(signal, `${stderr} ${code}`).toBe('SIGKILL');
      run.resume();
      // Who joins does not change the bits.
      await run.expectUnharmed(await disturbed.endOf(...(recipe === phased ? phased : [])));
    });
  }
}
