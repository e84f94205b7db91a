import { expect, it } from 'vitest';
import { rehearse } from '../../../worker/training/rehearse.js';
import { createHeldSnapshots, createSnapshots } from '../../../worker/training/snapshots.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';
import { runConfig } from '../../support/run-config.js';

it('runs once what a worker that joins will run, each kind of step once', async () => {
  const compute = createFakeCompute();
  compute.state.fill(5);
  const config = runConfig();
  const [phase] = config.phases;
  const snapshots = createSnapshots(compute, fakeShape.state);
  const heldSnapshots = createHeldSnapshots(compute, fakeShape.held);
  await rehearse({
    ...{ compute, shape: fakeShape, snapshots, heldSnapshots, vectors: { all: compute.vector } },
    config: { ...config, phases: [phase!, { ...phase!, name: 'second' }] },
    signal: new AbortController().signal,
  });
  const step = ['gradientPart 0', 'gradientPart 1', 'apply'];
  expect(compute.calls.filter((call) => call !== 'resetMoments')).toEqual([...step, 'saveHeld', 'save']);
  for (const each of [snapshots, heldSnapshots]) expect(each.lend(0)).toBeUndefined();
  expect(compute.state[fakeShape.state.updates.offset]).toBe(1);
});
