import type { Assignment } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { prepareGeneration, type WorkerResources } from './generation.js';
import type { Reporter } from './reporter.js';

/** How far this worker has come: what its heartbeats say. */
export interface Position {
  generation: bigint;
  /** Steps committed since the run's beginning. */
  step: bigint;
  /** Images evaluated in the evaluation that it is at, or was at last. */
  evaluated: number;
}

/**
 * What a generation works with; opened on Welcome, and perhaps not yet open when the first assignment comes.
 */
export interface GenerationServices {
  readonly resources: WorkerResources;
  readonly reporter: Reporter;
  /** Sends what metrics are still waiting and counts them. */
  settleMetrics(): Promise<{ published: number; dropped: number }>;
}

export interface ActiveGeneration {
  /** Every rank is ready. */
  begin(): void;
  /** It has not begun: the state stays as it is. */
  isPreparing(): boolean;
  /** It has begun, and neither ended nor failed. */
  isUnderWay(): boolean;
  /** Votes to stop after the current step, and to keep the state or not. */
  requestStop(o: { readonly keepsState: boolean }): void;
  /** Votes for a snapshot after the current step. */
  requestSnapshot(): void;
  /**
   * Ends the generation where it is, but for the gradients that are being computed, which are kept; resolves when
   * nothing of it runs any more. Safe to call twice.
   */
  interrupt(): Promise<void>;
  /** The same at once, without the gradients. */
  abort(): Promise<void>;
}

/**
 * Prepares for `assignment`, answers Ready, does the run's task from Begin on and answers Finished, or
 * Failed.
 */
export function startGeneration(
  assignment: Assignment,
  services: Promise<GenerationServices>,
  position: Position,
): ActiveGeneration {
  const [ending, abandoning] = [new AbortController(), new AbortController()];
  const { signal } = ending;
  let [stopRequested, keepRequested, snapshotRequested] = [false, false, false];
  let [hasBegun, isUnderWay] = [false, false];
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  signal.addEventListener('abort', () => begin());

  const carryOut = async () => {
    const { resources, reporter, settleMetrics } = await services;
    const { session, snapshotSteps } = resources;
    try {
      const generation = await prepareGeneration(assignment, resources, {
        signal,
        abandoned: abandoning.signal,
      });
      const { number, startStep, stateDigest, copy } = generation;
      position.generation = number;
      position.step = BigInt(startStep);
      position.evaluated = 0;
      const { kernels } = resources.shape;
      const ready = { generation: number, step: BigInt(startStep), stateDigest, kernels, copy };
      session.send({ $case: 'ready', value: ready });
      await begun;
      signal.throwIfAborted();
      isUnderWay = true;

      const events = generation.perform({
        requests: (step) => ({
          stop: stopRequested,
          keep: keepRequested,
          snapshot: snapshotRequested || (snapshotSteps > 0 && (step + 1) % snapshotSteps === 0),
        }),
        onEvaluated: (images) => {
          position.evaluated = images;
        },
      });
      let next = await events.next();
      for (; !next.done; next = await events.next()) {
        if (next.value.kind === 'step') {
          resources.held.step = next.value.plan.step + 1;
          position.step = BigInt(resources.held.step);
          if (next.value.outcome.snapshot) snapshotRequested = false;
        }
        reporter.report(next.value, generation);
      }
      const { step, stopped, restoredDigest } = next.value;
      const { published, dropped } = await settleMetrics();
      const metrics = { published: BigInt(published), dropped: BigInt(dropped) };
      session.send({
        $case: 'finished',
        value: {
          generation: number,
          step: BigInt(step),
          stopped,
          metrics,
          stateDigest: restoredDigest ?? '',
        },
      });
    } catch (thrown) {
      if (signal.aborted) return;
      const { step } = position;
      const error = { remedy: '', ...RondoError.from(thrown).toPlain() };
      session.send({ $case: 'failed', value: { generation: assignment.generation, step, ...error } });
    }
  };
  // An error of opening the services is reported where they are opened.
  const done = carryOut()
    .catch(() => {})
    .finally(() => {
      isUnderWay = false;
    });

  return {
    begin() {
      hasBegun = true;
      begin();
    },
    isPreparing: () => !hasBegun && !signal.aborted,
    isUnderWay: () => isUnderWay && !signal.aborted,
    requestStop({ keepsState }) {
      stopRequested = true;
      keepRequested ||= keepsState;
    },
    requestSnapshot() {
      snapshotRequested = true;
    },
    async interrupt() {
      ending.abort();
      await done;
    },
    async abort() {
      ending.abort();
      abandoning.abort();
      await done;
    },
  };
}
