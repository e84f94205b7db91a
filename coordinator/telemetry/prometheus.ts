import { Gauge, type Registry } from 'prom-client';
import type { RunStatus } from '../../proto/run-status.js';
import { openMetricsRegistry } from '../../runtime/metrics-registry.js';
import type { RunEvent } from './run-events.js';

/** A run's events and status as Prometheus takes them. */
export interface PrometheusSink {
  readonly registry: Registry;
  hear(event: RunEvent): void;
}

const phases = ['gathering', 'preparing', 'training', 'stopping', 'regrouping', 'ended'] as const;
/** Steps over which the speed is measured. */
const measuredSteps = 20;

/**
 * @param status of the run, asked for whenever it is scraped; null while it cannot be told.
 * @param nowMs since any moment.
 */
export function openPrometheusSink(o: { status(): RunStatus | null; nowMs(): number }): PrometheusSink {
  const { registry, gauge, counter, stepSeconds } = openMetricsRegistry('coordinator');
  const registers = [registry];
  const run = new Gauge({
    ...{ name: 'rondo_run_info', help: 'Always 1.', labelNames: ['run', 'arch'], registers },
  });
  const step = gauge('step', 'Steps taken, over the run.');
  const planSteps = gauge('plan_steps', 'Steps that the run has.');
  const epoch = gauge('epoch', 'The epoch under way, or the last one, counted from 0.');
  const planEpochs = gauge('plan_epochs', 'Epochs that the run has.');
  const loss = gauge('loss', 'Of the last step; NaN when it was not finite.');
  const validLoss = gauge('valid_loss', 'After the last whole epoch.');
  const errorRatio = gauge('error_ratio', 'Of the validation images, after the last whole epoch.');
  const steps = counter('steps_total', 'Steps taken since this process started.');
  const samples = counter('samples_total', 'Images trained on since this process started.');
  const skipped = counter(
    'skipped_steps_total',
    'Steps that changed nothing: the loss or a gradient was not finite.',
  );
  const speed = gauge('samples_per_second', `Images over the last ${measuredSteps} steps.`);
  const eta = gauge('remaining_seconds', 'What the steps that are left take at the speed of the last ones.');
  const generation = gauge('generation', 'Number of the membership of workers.');
  const worldSize = gauge('world_size', 'Workers that compute together.');
  const recoveries = counter('recoveries_total', 'Times that training went on after workers changed.');
  const recoverySeconds = counter('recovery_seconds_total', 'What these took.');
  const redone = counter('redone_steps_total', 'Steps that were cut off and taken again.');
  const lost = counter('lost_workers_total', 'Workers that were lost.');
  const checkpointStep = gauge('checkpoint_step', 'Of the newest checkpoint that was saved by this process.');
  const warnings = counter('warnings_total', 'Warnings that people were given.');

  let checkpointAtMs: number | null = null;
  new Gauge({
    ...{ name: 'rondo_checkpoint_age_seconds', help: 'Since this process saved a checkpoint.', registers },
    collect() {
      this.set(checkpointAtMs === null ? Number.NaN : (o.nowMs() - checkpointAtMs) / 1_000);
    },
  });
  new Gauge({
    ...{ name: 'rondo_phase', help: '1 for what the run is at.', labelNames: ['phase'], registers },
    collect() {
      const now = o.status()?.phase;
      for (const phase of phases) this.set({ phase }, now === phase ? 1 : 0);
    },
  });
  new Gauge({
    name: 'rondo_worker_step_seconds',
    help: 'What a step usually takes a worker: computing, waiting for images, and for what is left of the all-reduce.',
    labelNames: ['worker', 'part'],
    registers,
    collect() {
      this.reset();
      for (const { worker, step: usual } of o.status()?.members ?? []) {
        if (usual === null) continue;
        this.set({ worker, part: 'compute' }, usual.compute);
        this.set({ worker, part: 'images' }, usual.data);
        this.set({ worker, part: 'all_reduce_exposed' }, usual.wait);
      }
    },
  });
  new Gauge({
    ...{
      name: 'rondo_worker_silent_seconds',
      help: 'Since a worker was heard.',
      labelNames: ['worker'],
      registers,
    },
    collect() {
      this.reset();
      for (const { worker, silentSeconds } of o.status()?.members ?? []) this.set({ worker }, silentSeconds);
    },
  });

  // What is not known yet is not 0.
  for (const unknown of [loss, validLoss, errorRatio, speed, eta, checkpointStep]) unknown.set(Number.NaN);
  let plan = { steps: 0, epochs: 0 };
  const recent: { samples: number; seconds: number }[] = [];
  return {
    registry,
    hear(event) {
      switch (event.kind) {
        case 'prepared':
          plan = { steps: event.epochs * event.stepsPerEpoch, epochs: event.epochs };
          run.set({ run: event.runId, arch: event.arch }, 1);
          planSteps.set(plan.steps);
          planEpochs.set(plan.epochs);
          step.set(event.startStep);
          epoch.set(Math.min(Math.floor(event.startStep / event.stepsPerEpoch), event.epochs - 1));
          break;
        case 'assigned':
          generation.set(event.generation);
          worldSize.set(event.workers.length);
          break;
        case 'step': {
          step.set(event.step + 1);
          epoch.set(event.epoch);
          loss.set(event.loss ?? Number.NaN);
          steps.inc();
          samples.inc(event.samples);
          if (event.skipped) skipped.inc();
          stepSeconds.observe(event.seconds);
          recent.push(event);
          if (recent.length > measuredSteps) recent.shift();
          const seconds = recent.reduce((sum, each) => sum + each.seconds, 0);
          if (seconds <= 0) break;
          speed.set(recent.reduce((sum, each) => sum + each.samples, 0) / seconds);
          eta.set(Math.max(0, plan.steps - event.step - 1) * (seconds / recent.length));
          break;
        }
        case 'epoch':
          validLoss.set(event.valid_loss ?? Number.NaN);
          errorRatio.set(event.error_rate ?? Number.NaN);
          break;
        case 'checkpoint':
          checkpointAtMs = o.nowMs();
          checkpointStep.set(event.step);
          break;
        case 'recovered':
          generation.set(event.generation);
          worldSize.set(event.worldSize);
          recoveries.inc();
          recoverySeconds.inc(event.seconds);
          redone.inc(event.stepsRedone);
          break;
        case 'short':
          worldSize.set(0);
          break;
        case 'worker-lost':
          lost.inc();
          break;
        case 'rolled-back':
          step.set(event.toStep);
          break;
        case 'warning':
          warnings.inc();
          break;
        default:
      }
    },
  };
}
