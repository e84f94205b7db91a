import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { version } from './installation.js';

const stepBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** A program's metrics, which begin with `rondo_`: those that every program has, and what makes more. */
export interface MetricsRegistry {
  readonly registry: Registry;
  gauge(name: string, help: string): Gauge;
  counter(name: string, help: string): Counter;
  readonly stepSeconds: Histogram;
}

export function openMetricsRegistry(program: 'coordinator' | 'worker'): MetricsRegistry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'rondo_' });
  new Gauge({
    ...{ name: 'rondo_build_info', help: 'Always 1.', labelNames: ['version', 'program'], registers },
  }).set({ version, program }, 1);
  return {
    registry,
    gauge: (name, help) => new Gauge({ name: `rondo_${name}`, help, registers }),
    counter: (name, help) => new Counter({ name: `rondo_${name}`, help, registers }),
    stepSeconds: new Histogram({
      ...{ name: 'rondo_step_seconds', help: 'What a step takes.', buckets: stepBuckets, registers },
    }),
  };
}
