import { Counter, type Registry } from 'prom-client';
import { openMetricsRegistry } from '../../runtime/metrics-registry.js';
import type { WorkerObserver } from './worker.js';

/** What a worker does, as Prometheus takes it, and what it waits for. */
export interface WorkerMetrics extends WorkerObserver {
  readonly registry: Registry;
  waitsFor(): string | null;
}

export function openWorkerMetrics(worker: string): WorkerMetrics {
  const { registry, gauge, counter, stepSeconds } = openMetricsRegistry('worker');
  registry.setDefaultLabels({ worker });
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
  const parts = new Counter({
    name: 'rondo_step_part_seconds_total',
    help: 'Where steps went: waiting for images, gradients, what is left of the all-reduce after them, the update.',
    ...{ labelNames: ['part'], registers: [registry] },
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
