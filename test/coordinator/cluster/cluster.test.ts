import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { planStep } from '../../../plan/phases.js';
import {
  type ClusterFixture,
  config,
  destroyFixtures,
  openFixture,
  steps,
} from '../../support/cluster-fixture.js';

afterEach(destroyFixtures);

describe('a run over real connections', () => {
  it.each([1, 2, 3, 4])(
    'of %i workers commits every step and epoch, then dismisses all',
    async (worldSize) => {
      const fixture = await openFixture(worldSize);
      // The last one comes first: ranks follow the ids.
      for (let index = worldSize - 1; index >= 0; index -= 1) fixture.join(`worker-${index}`);
      const result = await fixture.cluster.run({ step: 0, source: 'fresh' });
      expect(result).toEqual({
        step: steps,
        stopped: false,
        stateLost: false,
        metrics: { published: steps * worldSize, dropped: worldSize },
      });

      expect(fixture.committed.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5]);
      for (const { step, shares, samples, loss } of fixture.committed) {
        expect(shares.flatMap((share) => [...share])).toEqual([...planStep(config, step).sampleIds]);
        expect(samples).toBe(5);
        expect(loss).toBe(1 / (step + 1));
      }
      expect(fixture.evaluations.map(({ epoch, step }) => [epoch, step])).toEqual([
        [0, 3],
        [1, 6],
      ]);
      expect([...fixture.evaluations[1]!.sampleIds]).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect([...fixture.evaluations[1]!.losses]).toEqual([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]);
      expect(
        fixture.ends.map(({ step, stateDigest, whole, holders }) => [
          step,
          stateDigest,
          whole,
          holders[0]!.address,
        ]),
      ).toEqual([
        [3, 'state-3', true, '127.0.0.1:7000'],
        [6, 'state-6', true, '127.0.0.1:7000'],
      ]);

      await fixture.cluster.close(true, 'done');
      await fixture.cluster.close(true, 'done');
      for (const worker of fixture.workers) {
        expect(await worker.done).toEqual({ goodbye: { ok: true, reason: 'done' }, error: null });
        const epochs = ['epochClosed', 'epochClosed'];
        const heard = ['welcome', 'assignment', 'begin', ...epochs, 'goodbye'];
        expect(worker.heard.map(({ $case }) => $case)).toEqual(heard);
      }
      const [welcome] = fixture.workers[0]!.heard;
      expect(welcome?.$case === 'welcome' && JSON.parse(welcome.value.runConfigJson)).toEqual(config);
    },
  );

  it('starts where it is told to', async () => {
    const fixture = await openFixture(2);
    fixture.join('worker-0');
    fixture.join('worker-1');
    const result = await fixture.cluster.run({ step: 3, source: 'checkpoint' });
    expect(result.step).toBe(6);
    expect(fixture.committed.map(({ step }) => step)).toEqual([3, 4, 5]);
  });

  it('stops by agreement', async () => {
    const fixture: ClusterFixture = await openFixture(
      3,
      {
        stepCommitted: ({ step }) => {
          if (step === 1) fixture.cluster.stop('Ctrl-C');
        },
      },
      { config: { ...config, trainCount: 1_000 } },
    );
    for (const index of [0, 1, 2]) fixture.join(`worker-${index}`);
    const result = await fixture.cluster.run({ step: 0, source: 'fresh' });
    expect(result.stopped).toBe(true);
    expect(result.step).toBeGreaterThan(1);
    expect(fixture.ends).toMatchObject([{ step: result.step, whole: false, epoch: 0 }]);
    await fixture.cluster.close(true, 'stopped');
    for (const worker of fixture.workers) expect((await worker.done).goodbye?.ok).toBe(true);
  });
});

describe('a session that is refused', () => {
  it.each([
    ['for its version', 'worker-1', { version: '0.0.1' }, /0\.0\.1/],
    ['for its id', 'worker-0', { peerAddress: '127.0.0.1:9' }, /already registered/],
  ])('%s learns why, and the run goes on with another', async (_, id, changes, reason) => {
    const fixture = await openFixture(2);
    const first = fixture.join('worker-0');
    await expect.poll(() => first.heard.length).toBe(1);
    const { error, goodbye } = await fixture.join(id, changes).done;
    expect(error?.code).toBe(status.FAILED_PRECONDITION);
    expect(error?.details).toMatch(reason);
    expect(goodbye).toBeNull();
    fixture.join('worker-1');
    expect((await fixture.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
  });
});
