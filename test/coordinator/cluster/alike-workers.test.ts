import { afterEach, describe, expect, it } from 'vitest';
import { checkKernels } from '../../../coordinator/cluster/alike-workers.js';
import { formatKernels } from '../../../coordinator/run-store/ledger.js';
import type { Kernels } from '../../../proto/gen/coordinator.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { config, destroyFixtures, openFixture, steps } from '../../support/cluster-fixture.js';
import type { FakeWorkerOptions } from '../../support/fake-worker.js';
import { fakeKernels } from '../../support/kernels.js';

const other: Kernels = { ...fakeKernels, instructionSet: 'AVX512_CORE' };
const message = /^worker-9 computes with oneDNN \(AVX512_CORE\) .*, worker-0 with oneDNN \(AVX2\)/;

afterEach(destroyFixtures);

/** A worker that says what it computes with as soon as it knows it. */
function computesWith(kernels: Kernels): Partial<FakeWorkerOptions> {
  return {
    alter(said) {
      return said.$case === 'standby' ? { ...said, value: { ...said.value, kernels } } : said;
    },
  };
}

describe('a run that takes workers of one kind alone', () => {
  it('refuses one of another kind that joins, and goes on', async () => {
    const warnings: string[] = [];
    const refused = createDeferred<void>();
    const listener = {
      warning(text: string) {
        warnings.push(text);
        refused.resolve();
      },
      stepCommitted({ step }: { step: number }) {
        if (step === 1) fixture.join('worker-9', computesWith(other));
      },
    };
    const refusing = { config: { ...config, mixed: 'refuse' as const }, maxWorkers: 3 };
    const fixture = await openFixture(1, listener, refusing);
    const member = fixture.join('worker-0', {
      ...computesWith(fakeKernels),
      stopVotes: {
        // The run is not over before the guest has come.
        async vote(_generation, step, _worldSize, vote) {
          if (step === 3) await refused.promise;
          return vote;
        },
      },
    });
    expect((await fixture.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
    expect(warnings).toEqual([expect.stringMatching(/^refused: worker-9 computes with/)]);
    const { error } = await fixture.workers.find((each) => each !== member)!.done;
    expect(error?.details).toMatch(message);
    expect(fixture.recoveries).toEqual([]);
  });

  it('does not begin with unlike ones', async () => {
    const fixture = await openFixture(2, {}, { config: { ...config, mixed: 'refuse' } });
    fixture.join('worker-0', computesWith(fakeKernels));
    await expect
      .poll(() => fixture.cluster.status().members.map(({ state }) => state))
      .toEqual(['standing by']);
    fixture.join('worker-9', computesWith(other));
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(message),
      remedy: expect.stringContaining('--mixed allow'),
    });
  });

  it('remembers what it was begun with when it is resumed', () => {
    const known = checkKernels(formatKernels({ ...fakeKernels, oneDnn: true }));
    const standby = (kernels: Kernels) => ({
      message: { $case: 'standby' as const, value: { generation: 0n, kernels } },
    });
    expect(known.refusalOf(1, standby(fakeKernels))).toBeNull();
    expect(known.refusalOf(2, standby(other))?.message).toMatch(
      /AVX512_CORE.*others of this run with .*AVX2/,
    );
    expect(checkKernels(null).refusalOf(3, standby(other))).toBeNull();
  });
});
