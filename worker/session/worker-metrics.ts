import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { version } from '../../runtime/installation.js';
import type { WorkerObserver } from './worker.js';

const stepBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a worker does, as Prometheus takes it, and what it waits for. */
export interface WorkerMetrics extends WorkerObserver {
  readonly registry: Registry;
  waitsFor(): string | null;
}

export function openWorkerMetrics(worker: string): WorkerMetrics {
  const registry = new Registry();
  const registers = [registry];
  registry.setDefaultLabels({ worker });
  collectDefaultMetrics({ register: registry, prefix: 'rondo_' });
  const gauge = (name: string, help: string) => new Gauge({ name: `rondo_${name}`, help, registers });
  const counter = (name: string, help: string) => new Counter({ name: `rondo_${name}`, help, registers });

  new Gauge({
    ...{ name: 'rondo_build_info', help: 'Always 1.', labelNames: ['version', 'program'], registers },
  }).set({ version, program: 'worker' }, 1);
  const connected = gauge('coordinator_connected', '1 while there is a session with the coordinator.');
  const ready = gauge('ready', '1 once the program is built and the images are known.');
  const generation = gauge('generation', 'Number of the membership that it computes in.');
  const rank = gauge('rank', 'In that generation.');
  const worldSize = gauge('world_size', 'Workers of that generation.');
  const step = gauge('step', 'Steps taken, over the run.');
  const epoch = gauge('epoch', 'Of the last step, counted from 0.');
  const loss = gauge('loss', 'Of the last step, over all workers; NaN when it was not finite.');
  const steps = counter('steps_total', 'Steps taken by this process.');
  const samples = counter('samples_total', 'Images that this process trained on.');
  const stepSeconds = new Histogram({
    ...{ name: 'rondo_step_seconds', help: 'What a step takes.', buckets: stepBuckets, registers },
  });
  const parts = new Counter({
    name: 'rondo_step_part_seconds_total',
    help: 'Where steps went: waiting for images, gradients, what is left of the all-reduce after them, the update.',
    ...{ labelNames: ['part'], registers },
  });
  const exposed = gauge(
    'all_reduce_exposed_seconds',
    'Of the last step: what the all-reduce took after the gradients.',
  );
  let waiting: string | null = 'the coordinator';
  return {
    registry,
    waitsFor: () => waiting,
    connected(now) {
      connected.set(now ? 1 : 0);
      if (now && waiting === 'the coordinator') waiting = 'its program and the images';
    },
    opened() {
      waiting = null;
      ready.set(1);
    },
    assigned(assignment) {
      generation.set(Number(assignment.generation));
      rank.set(assignment.rank);
      worldSize.set(assignment.worldSize);
    },
    happened(event) {
      if (event.kind !== 'step') return;
      const { plan, outcome, cost, seconds, waitDataSeconds, sampleIds } = event;
      step.set(plan.step + 1);
      epoch.set(plan.epoch);
      loss.set(outcome.loss);
      steps.inc();
      samples.inc(sampleIds.length);
      stepSeconds.observe(seconds);
      exposed.set(cost.ringExposed);
      parts.inc({ part: 'images' }, waitDataSeconds);
      parts.inc({ part: 'gradients' }, cost.gradients);
      parts.inc({ part: 'all_reduce_exposed' }, cost.ringExposed);
      parts.inc({ part: 'apply' }, cost.apply);
    },
  };
}
