import { z } from 'zod';

/** NATS subjects of a run: one JetStream stream holds `rondo.<run>.>`. */
export const subjects = {
  all: (runId: string) => `rondo.${runId}.>`,
  step: (runId: string, workerId: string) => `rondo.${runId}.step.${workerId}`,
  epoch: (runId: string) => `rondo.${runId}.epoch`,
  event: (runId: string) => `rondo.${runId}.event`,
} as const;

const count = z.int().nonnegative();
/** JSON has no NaN: what was not finite is null. */
const measure = z.number().nullable();

/** Once per committed step, by rank 0: what is the same on every rank. */
const step = z.object({
  kind: z.literal('step'),
  runId: z.string(),
  step: count,
  epoch: count,
  /** Mean over the global batch. */
  loss: measure,
  samples: count,
  correct: count,
  learningRates: z.array(z.number()).readonly(),
  momentum: z.number(),
  skipped: z.boolean(),
  generation: count,
  worldSize: count,
  /** Wall time of the step on rank 0. */
  seconds: z.number(),
});

/** Once per committed step, by every rank: where its time went, in seconds. */
const workerStep = z.object({
  kind: z.literal('worker-step'),
  runId: z.string(),
  worker: z.string(),
  step: count,
  rank: count,
  samples: count,
  waitData: z.number(),
  gradients: z.number(),
  /** While the ring was at work, most of it during `gradients`; what it took after them is `ringExposed`. */
  ring: z.number(),
  ringExposed: z.number(),
  apply: z.number(),
  residentBytes: count,
  tensorHandles: count,
});

/** Once per epoch, by the coordinator. */
const epoch = z.object({
  kind: z.literal('epoch'),
  runId: z.string(),
  epoch: count,
  trainLoss: measure,
  validLoss: measure,
  errorRate: measure,
  balancedError: measure,
  macroF1: measure,
  top5Error: measure,
  seconds: z.number(),
  imagesPerSecond: z.number(),
});

/** What happened, by the coordinator. */
const event = z.object({
  kind: z.literal('event'),
  runId: z.string(),
  event: z.enum([
    'started',
    'resumed',
    'worker-joined',
    'worker-lost',
    'recovered',
    'checkpoint',
    'stopped',
    'finished',
  ]),
  step: count,
  worker: z.string().optional(),
  detail: z.string().optional(),
});

/** A message on NATS, and a line of metrics.jsonl. */
export const metricSchema = z.discriminatedUnion('kind', [step, workerStep, epoch, event]);
export type Metric = Readonly<z.infer<typeof metricSchema>>;

export type StepMetric = Extract<Metric, { kind: 'step' }>;
export type WorkerStepMetric = Extract<Metric, { kind: 'worker-step' }>;
/** What the coordinator tells, of the run that its publisher is for. */
export type CoordinatorMetric =
  | Omit<Readonly<z.infer<typeof epoch>>, 'runId'>
  | Omit<Readonly<z.infer<typeof event>>, 'runId'>;
