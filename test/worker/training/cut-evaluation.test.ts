import { expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { nothingEvaluated } from '../../../worker/training/evaluate.js';
import { train } from '../../../worker/training/loop.js';
import { createSnapshots, type Snapshots } from '../../../worker/training/snapshots.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';
import { createFakeLoader } from '../../support/fake-loader.js';
import { createFakeRings } from '../../support/fake-ring.js';
import { runConfig } from '../../support/run-config.js';
import { stepContext } from '../../support/step-context.js';

it('ends as the evaluation does that is cut off while the state’s digests are computed', async () => {
  const { signal } = new AbortController();
  const config = runConfig();
  const compute = {
    ...createFakeCompute(),
    evaluate: () => Promise.reject(new RondoError('cancelled', 'the generation has ended')),
  };
  const taken = createSnapshots(compute, fakeShape.state);
  const snapshots: Snapshots = {
    ...taken,
    async take(step) {
      const snapshot = await taken.take(step);
      const later = () => new Promise((resolve) => setTimeout(resolve, 20)).then(snapshot.digests);
      return { ...snapshot, digests: later };
    },
  };
  const [ring] = createFakeRings(1);
  const run = train({
    ...{ config, rank: 0, worldSize: 1, compute, loader: createFakeLoader(), signal, snapshots },
    ...{
      startStep: 0,
      epochEndDue: false,
      evaluated: nothingEvaluated(),
      startEvaluation: null,
      startShare: null,
      partitions: null,
      onEvaluated: () => {},
      epochClosed: async () => {},
    },
    context: () => stepContext({ config, compute, ring: ring!, vector: compute.vector, signal }),
  });
  const kinds: string[] = [];
  // A rejection that nobody handles in the meantime would fail the test too.
  const following = (async () => {
    for await (const { kind } of run) kinds.push(kind);
  })();
  await expect(following).rejects.toMatchObject({ code: 'cancelled', message: 'the generation has ended' });
  expect(kinds).toEqual(['step', 'step', 'step', 'snapshot']);
});
