import { nextPhaseStep, planStep } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { CoordinatorMetric } from '../../proto/metrics.js';
import type {
  ClusterListener,
  CommittedStep,
  EpochEnd,
  EvaluationResult,
} from '../membership/cluster-events.js';
import { type EpochRecord, type History, recordEpoch } from '../run-store/epoch-record.js';
import {
  distinctKernels,
  type EpochLine,
  figuresOf,
  formatKernels,
  type LedgerState,
  rollBack,
  type StepFigures,
  type StepLine,
  type WorkerLine,
} from '../run-store/ledger.js';
import type { LineFile } from '../run-store/line-file.js';
import { describeCauses, type RunEvent } from '../telemetry/run-events.js';
import type { MetricsCollector } from './services.js';
import { followSkippedSteps } from './skipped-steps.js';

/**
 * Listens to the cluster and records the run: the ledger, the table of epochs, which states to checkpoint.
 */
export interface RunRecorder extends Omit<ClusterListener, 'decided'> {
  readonly epochs: readonly EpochRecord[];
  /** Steps, epochs and workers, in order. */
  readonly history: History;
  /** Since the run was last started or resumed. */
  readonly newestEvaluation: EvaluationResult | null;
  /** How many steps were taken, over the run. */
  readonly steps: number;
  /** The step that the run goes on with: beyond those taken where a phase ended early. */
  readonly nextStep: number;
  /** Of these, how many changed nothing, because the loss or a gradient was not finite. */
  readonly skippedSteps: number;
  /** Of the last state that all workers agreed on. */
  readonly parameterDigest: string | null;
  /** Of the current generation; 0 before the first. */
  readonly worldSize: number;
  /** Times that the run went on with other workers, or was resumed, under coordinators that died too. */
  readonly recoveries: number;
  /** How often the next step is begun, once it is. */
  readonly attempt: number;
  /** The run goes on from its state after `toStep` steps: what was recorded since counts no longer. */
  rollBack(toStep: number): void;
  /** The phase ends with `epoch`: steps that workers take until the next generation are not recorded. */
  endPhase(epoch: number): void;
}

export interface RunRecorderOptions {
  readonly config: RunConfig;
  /** Of the validation samples, by id. */
  readonly labels: ArrayLike<number>;
  readonly ledger: LineFile;
  /** What the ledger holds already. */
  readonly restored: LedgerState;
  report(event: RunEvent): void;
  readonly publish: MetricsCollector['publish'];
  /** A state is complete and its epoch, if it is whole, stands in the ledger. */
  checkpoint(end: EpochEnd): void;
  nowMs(): number;
}

export function createRunRecorder(o: RunRecorderOptions): RunRecorder {
  const steps: StepFigures[] = [...o.restored.steps];
  let nextStep = (steps.at(-1)?.step ?? -1) + 1;
  let phaseEnded = false;
  const epochLines: EpochLine[] = [...o.restored.epochs];
  const epochs: EpochRecord[] = epochLines.map(recordOf);
  const workers: WorkerLine[] = [...o.restored.workers];
  const warn = (text: string) => o.report({ kind: 'warning', text });
  let skipped = followSkippedSteps(o.restored.steps, warn);
  let parameterDigest = o.restored.epochs.at(-1)?.parameterDigest ?? null;
  let worldSize = 0;
  let { recoveries } = o.restored;
  /** Of the next step. */
  let attempt = 1;
  let lastStepAtMs = o.nowMs();
  // An epoch's digest and its evaluation arrive in either order.
  let ended: EpochEnd | null = null;
  let evaluated: EvaluationResult | null = null;
  let newestEvaluation: EvaluationResult | null = null;

  const closeEpoch = () => {
    if (ended === null || evaluated === null || ended.epoch !== evaluated.epoch) return;
    const evaluationSeconds = Math.max(0, (o.nowMs() - lastStepAtMs) / 1000);
    const record = recordEpoch(o.config, steps, evaluated, o.labels, evaluationSeconds);
    const line: EpochLine = {
      kind: 'epoch',
      ...record,
      step: ended.step,
      parameterDigest: ended.parameterDigest,
    };
    o.ledger.append(line);
    epochLines.push(line);
    epochs.push(record);
    o.report({ kind: 'epoch', ...record });
    o.publish(metricOf(record));
    o.checkpoint(ended);
    [ended, evaluated] = [null, null];
  };

  return {
    epochs,
    history: { steps, epochs, workers },
    get newestEvaluation() {
      return newestEvaluation;
    },
    get steps() {
      return steps.length;
    },
    get nextStep() {
      return nextStep;
    },
    get skippedSteps() {
      return skipped.count;
    },
    get parameterDigest() {
      return parameterDigest;
    },
    get worldSize() {
      return worldSize;
    },
    get recoveries() {
      return recoveries;
    },
    get attempt() {
      return attempt;
    },
    assigned(generation, workers) {
      phaseEnded = false;
      worldSize = workers.length;
      const named = workers.map(({ workerId: worker, rank, host }) => ({ worker, rank, host }));
      o.report({ kind: 'assigned', generation: Number(generation), workers: named });
      for (const { worker, rank } of named) {
        const detail = `rank ${rank}`;
        o.publish({ kind: 'event', event: 'worker-joined', worker, detail, step: nextStep });
      }
    },
    ready({ generation, workerId: worker, rank, host, kernels }) {
      const oneDnn = kernels.oneDnn ?? null;
      const line: WorkerLine = {
        ...{ kind: 'worker', generation: Number(generation), worker, rank, host },
        kernels: { ...kernels, oneDnn },
      };
      o.ledger.append(line);
      const [known] = distinctKernels(workers);
      workers.push(line);
      const own = formatKernels(line.kernels);
      if (known === undefined || known === own) return;
      const text = `${worker} computes with ${own}, others of this run with ${known}: the run is not bit-reproducible`;
      o.report({ kind: 'warning', text });
    },
    stepCommitted(step) {
      if (phaseEnded) return;
      lastStepAtMs = o.nowMs();
      const line = { ...lineOf(o.config, step), attempt };
      attempt = 1;
      o.ledger.append(line);
      steps.push(figuresOf(line));
      nextStep = line.step + 1;
      const { epoch, loss, samples, seconds } = line;
      o.report({ kind: 'step', step: step.step, epoch, loss, samples, seconds, skipped: line.skipped });
      skipped.add(line);
    },
    evaluating() {},
    evaluated(evaluation) {
      if (phaseEnded) return;
      evaluated = evaluation;
      newestEvaluation = evaluation;
      closeEpoch();
    },
    epochCompleted(end) {
      if (phaseEnded) return;
      parameterDigest = end.parameterDigest;
      if (!end.whole) return o.checkpoint(end);
      ended = end;
      closeEpoch();
    },
    endPhase(epoch) {
      phaseEnded = true;
      nextStep = nextPhaseStep(o.config, epoch);
      o.ledger.append({ kind: 'early-stop', epoch, toStep: nextStep });
    },
    rollBack(toStep) {
      o.ledger.append({ kind: 'rollback', toStep });
      o.report({ kind: 'rolled-back', fromStep: nextStep, toStep });
      const left = rollBack({ steps, epochs: epochLines, earlyStops: [], recoveries }, toStep);
      attempt = 1;
      phaseEnded = false;
      ({ recoveries } = left);
      steps.splice(left.steps.length);
      epochLines.splice(left.epochs.length);
      epochs.splice(left.epochs.length);
      nextStep = toStep;
      skipped = followSkippedSteps(steps, warn);
      [ended, evaluated] = [null, null];
    },
    recovered(recovery) {
      recoveries += 1;
      worldSize = recovery.worldSize;
      attempt += recovery.stepsRedone;
      const { causes, step } = recovery;
      o.report({ kind: 'recovered', ...recovery, generation: Number(recovery.generation) });
      o.publish({ kind: 'event', event: 'recovered', detail: describeCauses(causes), step });
    },
    short: (workers, needed) => o.report({ kind: 'short', workers, needed }),
    warning: warn,
    workerLost({ workerId, rank, step, reason }) {
      o.report({ kind: 'worker-lost', worker: workerId, rank, step, reason });
      o.publish({ kind: 'event', event: 'worker-lost', worker: workerId, detail: reason, step });
    },
  };
}

function lineOf(config: RunConfig, committed: CommittedStep): Omit<StepLine, 'attempt'> {
  const { step, generation, loss, shares, ...figures } = committed;
  return {
    ...{ kind: 'step', step, epoch: planStep(config, step).epoch, generation: Number(generation) },
    ...figures,
    loss: Number.isFinite(loss) ? loss : null,
    shares: shares.map((share) => [...share]),
  };
}

function recordOf({ kind: _, step: __, parameterDigest: ___, ...record }: EpochLine): EpochRecord {
  return record;
}

/** The names of proto/metrics.ts. */
function metricOf(record: EpochRecord): CoordinatorMetric {
  const { epoch, train_loss: trainLoss, valid_loss: validLoss, error_rate: errorRate } = record;
  const { balanced_error: balancedError, macro_f1: macroF1, top5_error: top5Error } = record;
  const { seconds, imagesPerSecond } = record;
  return {
    ...{ kind: 'epoch', epoch, trainLoss, validLoss, errorRate, balancedError, macroF1, top5Error },
    ...{ seconds, imagesPerSecond },
  };
}
