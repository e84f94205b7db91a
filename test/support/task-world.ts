import type { Mixup } from '../../plan/mixup.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Compute } from '../../worker/training/compute.js';
import { nothingEvaluated } from '../../worker/training/evaluate.js';
import { performTask } from '../../worker/training/perform-task.js';
import { createSnapshots } from '../../worker/training/snapshots.js';
import type { StepEvent, TaskEnd, TaskEvent } from '../../worker/training/task.js';
import { createFakeCompute, fakeShape } from './fake-compute.js';
import { createFakeLoader } from './fake-loader.js';
import { createFakeRings } from './fake-ring.js';
import { stepContext } from './step-context.js';

export interface RankOutcome {
  readonly events: TaskEvent[];
  readonly end: TaskEnd;
  readonly state: Float32Array;
  readonly calls: string[];
  readonly averageDecays: readonly (number | null)[];
  readonly mixups: readonly (Mixup | undefined)[][];
  readonly aliveBatches: number;
  /** What it said, in order, of how far its evaluations are. */
  readonly evaluated: readonly number[];
}

export interface WorldOptions {
  /** Rank 1 (or the only one) asks to stop during that step, counted from the first one taken. */
  readonly stopAt?: number;
  /** Whether it asks to keep the state then; true by default. */
  readonly keepsState?: boolean;
  /** The same rank asks for snapshots after so many steps, counted over the run. */
  readonly snapshotsAfter?: readonly number[];
  readonly startStep?: number;
  readonly epochEndDue?: boolean;
  /** The label whose gradient is NaN. */
  readonly poison?: number;
  /** The state that every rank begins with. */
  readonly state?: Float32Array;
  onEvent?(rank: number, event: TaskEvent): void;
  /** When a rank may begin the epoch after `epoch`; at once by default. */
  epochClosed?(rank: number, epoch: number): Promise<void>;
  /** Each sample's loss in a step, instead of its label. */
  lossAt?(step: number): number;
}

/** Runs a task on every rank of a world in this process, without TensorFlow. */
export function runWorld(
  config: RunConfig,
  worldSize: number,
  options: WorldOptions = {},
): Promise<RankOutcome[]> {
  const { keepsState = true } = options;
  const { startStep = 0, epochEndDue = false, stopAt, snapshotsAfter = [], poison, state, lossAt } = options;
  return Promise.all(
    createFakeRings(worldSize).map(async (ring, rank) => {
      const fake = createFakeCompute(poison === undefined ? {} : { poison });
      if (state) fake.state.set(state);
      const compute = lossAt === undefined ? fake : bendLoss(fake, lossAt);
      const loader = createFakeLoader();
      const { vector } = fake;
      const { signal } = new AbortController();
      const events: TaskEvent[] = [];
      const evaluated: number[] = [];
      const isAsking = rank === Math.min(1, worldSize - 1);
      const requests = (step: number) => {
        const stop = isAsking && events.filter((e) => e.kind === 'step').length === stopAt;
        return { stop, keep: stop && keepsState, snapshot: isAsking && snapshotsAfter.includes(step + 1) };
      };
      const run = performTask({
        ...{
          config,
          rank,
          worldSize,
          compute,
          loader,
          signal,
          startStep,
          epochEndDue,
          evaluated: nothingEvaluated(),
          startEvaluation: null,
          startShare: null,
          partitions: null,
          epochClosed: async (epoch) => options.epochClosed?.(rank, epoch),
          onEvaluated: (images) => evaluated.push(images),
        },
        snapshots: createSnapshots(compute, fakeShape.state),
        context: () => stepContext({ config, compute, ring, vector, requests, signal }),
      });
      let next = await run.next();
      for (; !next.done; next = await run.next()) {
        events.push(next.value);
        options.onEvent?.(rank, next.value);
      }
      const { calls, averageDecays, mixups } = fake;
      const aliveBatches = loader.alive();
      return {
        events,
        end: next.value,
        state: fake.state,
        calls,
        averageDecays,
        mixups,
        aliveBatches,
        evaluated,
      };
    }),
  );
}

export function stepsOf({ events }: Pick<RankOutcome, 'events'>): StepEvent[] {
  return events.filter((event) => event.kind === 'step');
}

function bendLoss(compute: Compute, lossAt: (step: number) => number): Compute {
  const { tail } = fakeShape.reductions.all!;
  let step = 0;
  return {
    ...compute,
    async gradientPart(part, batches, request) {
      const summary = await compute.gradientPart(part, batches, request);
      if (summary === null) return null;
      const { gradientLength, length } = fakeShape.reductions.all!;
      for (let row = 0; row < summary.rows.length; row += length - gradientLength) {
        const samples = summary.rows[row + tail.samples - gradientLength];
        summary.rows[row + tail.lossSum - gradientLength] = lossAt(step) * samples;
      }
      return summary;
    },
    async apply(summaries, options) {
      const applied = await compute.apply(summaries, options);
      if (applied.outcome !== 'overflow') step += 1;
      return applied;
    },
  };
}
