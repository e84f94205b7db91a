import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

const count = z.int().nonnegative();

/** Of the events that `coordinator start --json` prints, what is looked at here. */
const watchedEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prepared'), epochs: count, stepsPerEpoch: count, startStep: count }),
  z.object({ kind: z.literal('waiting'), address: z.string() }),
  z.object({ kind: z.literal('step'), step: count, samples: count, seconds: z.number() }),
  z.object({ kind: z.literal('epoch'), epoch: count }),
  z.object({ kind: z.literal('worker-lost'), worker: z.string(), reason: z.string() }),
  z.object({
    kind: z.literal('recovered'),
    worldSize: count,
    step: count,
    causes: z.array(z.object({ kind: z.string(), workerId: z.string().optional() })),
    seconds: z.number(),
    stepsRedone: count,
  }),
  z.object({ kind: z.literal('rolled-back'), fromStep: count, toStep: count }),
  z.object({ kind: z.literal('dataset'), phase: z.string(), done: count, total: count }),
  z.object({ kind: z.literal('error'), message: z.string(), remedy: z.string().nullable() }),
]);
const otherEvent = z.object({ kind: z.string() });

export type WatchedEvent = z.infer<typeof watchedEvent>;

const kinds = new Set<string>(watchedEvent.options.map(({ shape }) => shape.kind.value));

/** Null for an event that is of no interest here. @throws RondoError data-loss for a line that is none. */
export function parseEvent(line: string): WatchedEvent | null {
  const source = { name: 'what the coordinator prints', remedy: 'use programs of one version of Rondo' };
  const { kind } = parseJson(otherEvent, line, source);
  return kinds.has(kind) ? parseJson(watchedEvent, line, source) : null;
}
