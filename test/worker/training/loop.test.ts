import { describe, expect, it } from 'vitest';
import { totalSteps } from '../../../plan/phases.js';
import { runConfig } from '../../support/run-config.js';
import { type RankOutcome, runWorld, stepsOf as steps, type WorldOptions } from '../../support/task-world.js';

describe('train', () => {
  const config = runConfig();

  it.each([1, 2, 3, 4, 5])('takes the same samples to the same state on %i ranks', async (worldSize) => {
    const [alone] = await runWorld(config, 1);
    const world = await runWorld(config, worldSize);
    expect(steps(alone)).toHaveLength(totalSteps(config));
    for (const [index, step] of steps(alone).entries()) {
      const shares = world.flatMap((rank) => [...steps(rank)[index].sampleIds]);
      expect(shares).toEqual([...step.sampleIds]);
      for (const rank of world) expect(steps(rank)[index].outcome).toEqual(step.outcome);
    }
    for (const rank of world) {
      expect(rank.end).toMatchObject({ step: totalSteps(config), stopped: false });
      expect(rank.state).toEqual(alone.state);
      expect(rank.state).toEqual(world[0].state);
      expect(rank.aliveBatches).toBe(0);
    }
  });

  it.each([
    [3, ['snapshot', 'evaluation', 'step', 'step', 'step', 'snapshot', 'evaluation']],
    [6, ['snapshot', 'evaluation']],
  ])('ends the epoch before step %i first, where that is still due', async (startStep, kinds) => {
    for (const { events, end } of await runWorld(config, 2, { startStep, epochEndDue: true })) {
      expect(events.map(({ kind }) => kind)).toEqual(kinds);
      const epoch = startStep / 3 - 1;
      expect(events[0]).toMatchObject({ epoch, whole: true, snapshot: { step: startStep } });
      expect(events[1]).toMatchObject({ epoch, step: startStep });
      expect(end).toMatchObject({ step: 6, stopped: false });
    }
  });

  it.each([2, 3, 5])('mixes the same samples in the same proportions on %i ranks', async (worldSize) => {
    const mixing = runConfig({ mixup: 0.4 });
    const [alone] = await runWorld(mixing, 1);
    const world = await runWorld(mixing, worldSize);
    for (const [step, mixups] of alone.mixups.entries()) {
      expect(world.flatMap((rank) => rank.mixups[step])).toEqual(mixups);
      const counts = steps(alone)[step].plan.microBatches.map(({ start, end }) => end - start);
      expect(mixups.map((mixup) => mixup?.shares.length)).toEqual(counts);
    }
    expect(new Set(alone.mixups.flat().map((mixup) => mixup?.shares.join())).size).toBe(
      alone.mixups.flat().length,
    );
    const [plain] = await runWorld(config, worldSize);
    expect(plain.mixups.flat().every((mixup) => mixup === undefined)).toBe(true);
  });

  it('tells each update what the moving average keeps, by the step of the run', async () => {
    const [whole] = await runWorld(runConfig({ emaDecay: 0.3 }), 1);
    expect(whole.averageDecays).toEqual([1 / 10, 2 / 11, 3 / 12, 0.3, 0.3, 0.3]);
    const [rest] = await runWorld(runConfig({ emaDecay: 0.3 }), 2, { startStep: 2 });
    expect(rest.averageDecays).toEqual([3 / 12, 0.3, 0.3, 0.3]);
    const [plain] = await runWorld(config, 1);
    expect(plain.averageDecays).toEqual(new Array(6).fill(null));
  });

  it('evaluates every validation sample exactly once, after each epoch and on a snapshot of its end', async () => {
    for (const worldSize of [1, 2, 3, 5]) {
      const world = await runWorld(config, worldSize);
      for (const epoch of [0, 1]) {
        const shares = world.map(({ events }) =>
          events.find((e) => e.kind === 'evaluation' && e.epoch === epoch),
        );
        const ids = shares.flatMap((e) => (e?.kind === 'evaluation' ? [...e.share.sampleIds] : []));
        const losses = shares.flatMap((e) => (e?.kind === 'evaluation' ? [...e.share.losses] : []));
        expect(ids).toEqual(Array.from({ length: config.validCount }, (_, id) => id));
        expect(losses).toEqual(ids.map((id) => id / 2));
      }
      const kinds = world[0].events.map((event) => event.kind).join(' ');
      expect(kinds).toBe('step step step snapshot evaluation step step step snapshot evaluation');
    }
  });

  it.each<[WorldOptions, number[]]>([
    [{}, [0, 1]],
    [{ startStep: 3, epochEndDue: true }, [0, 1]],
    [{ startStep: 3 }, [1]],
    [{ startStep: 4 }, [1]],
    [{ stopAt: 2 }, []],
  ])('takes the first step of an epoch when every rank may: %o', async (options, awaited) => {
    const log: string[] = [];
    const world = await runWorld(config, 3, {
      ...options,
      // Rank 1 hears of it last.
      async epochClosed(rank, epoch) {
        await new Promise((resolve) => setTimeout(resolve, rank === 1 ? 30 : 0));
        log.push(`${rank} may go on after ${epoch}`);
      },
      onEvent: (rank, event) => {
        if (event.kind === 'step') log.push(`${rank} took ${event.plan.step}`);
      },
    });
    for (const rank of [0, 1, 2]) {
      const heard = log.filter((line) => line.startsWith(`${rank} may`));
      expect(heard).toEqual(awaited.map((epoch) => `${rank} may go on after ${epoch}`));
    }
    if (awaited.includes(0)) {
      const first = log.findIndex((line) => line.endsWith('took 3'));
      expect(first).toBeGreaterThan(log.indexOf('1 may go on after 0'));
    }
    for (const { state } of world) expect(state).toEqual(world[0].state);
  });

  it('stops every rank after the step in which one asks for it, with a snapshot of that step', async () => {
    for (const worldSize of [1, 3]) {
      const world = await runWorld(config, worldSize, { stopAt: 4 });
      for (const rank of world) {
        expect(rank.end).toMatchObject({ step: 5, stopped: true });
        expect(rank.events.at(-1)).toMatchObject({ kind: 'snapshot', whole: false, snapshot: { step: 5 } });
        expect(rank.state).toEqual(world[0].state);
      }
      const unkept = await runWorld(config, worldSize, { stopAt: 4, keepsState: false });
      for (const rank of unkept) {
        expect(rank.end).toMatchObject({ step: 5, stopped: true });
        expect(rank.events.at(-1)).toMatchObject({ kind: 'step', plan: { step: 4 } });
        expect(rank.state).toEqual(world[0].state);
      }
    }
  });

  it('takes snapshots on every rank after steps in which one asks for it, and goes on meanwhile', async () => {
    const [plain] = await runWorld(config, 1);
    const takenBy = ({ events }: RankOutcome) =>
      events.flatMap((event) =>
        event.kind === 'snapshot' ? [[event.snapshot.step, event.whole, event.stopped]] : [],
      );
    const digestsBy = ({ events }: RankOutcome) =>
      events.flatMap((event) => (event.kind === 'snapshot' ? [event.digests.state] : []));
    for (const worldSize of [1, 3]) {
      const world = await runWorld(config, worldSize, { snapshotsAfter: [1, 3, 5] });
      const stopped = await runWorld(config, worldSize, { stopAt: 1, snapshotsAfter: [1, 2] });
      for (const rank of world) {
        expect(rank.state).toEqual(plain.state);
        expect(rank.events.map(({ kind }) => kind).join(' ')).toBe(
          'step step snapshot step snapshot evaluation step step step snapshot snapshot evaluation',
        );
        expect(takenBy(rank)).toEqual([
          ...[
            [1, false, false],
            [3, true, false],
            [5, false, false],
            [6, true, false],
          ],
        ]);
      }
      for (const rank of stopped) {
        expect(takenBy(rank)).toEqual([
          [1, false, false],
          [2, false, false],
        ]);
        expect(rank.end).toMatchObject({ step: 2, stopped: true });
        // Of the state as it was after the first step, although the second was under way.
        expect(digestsBy(rank)[0]).toBe(digestsBy(world[0])[0]);
      }
    }
  });

  it('carries on from a step as if it had not stopped', async () => {
    const [whole] = await runWorld(config, 2);
    const [rest] = await runWorld(config, 2, { startStep: 4 });
    expect(steps(rest).map(({ outcome, sampleIds }) => ({ outcome, sampleIds }))).toEqual(
      steps(whole)
        .slice(4)
        .map(({ outcome, sampleIds }) => ({ outcome, sampleIds })),
    );
  });

  it('starts the moments afresh with each phase, and only then', async () => {
    const phase = config.phases[0];
    const [alone] = await runWorld(runConfig({ phases: [{ ...phase, epochs: 1 }, phase] }), 1);
    const resets = alone.calls.flatMap((name, index) =>
      name === 'resetMoments' ? [alone.calls[index + 1]] : [],
    );
    expect(resets).toEqual(['gradientPart 0', 'gradientPart 0']);
  });

  it('leaves the state as it was on every rank when one rank has a gradient that is not finite', async () => {
    const oneStep = runConfig({ trainCount: 8, phases: [{ ...config.phases[0], epochs: 1 }] });
    for (const rank of await runWorld(oneStep, 2, { poison: 5 })) {
      expect(steps(rank)[0].outcome).toMatchObject({ skipped: true, samples: 8 });
      expect([...rank.state]).toEqual(new Array(11).fill(0));
    }
  });
});
