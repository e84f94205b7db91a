import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { FloatType } from '../../plan/run-config.js';
import { precisions, settingSchema } from '../compute/implementation.js';
import { caseSchema } from './figures.js';

export const placeSchema = settingSchema
  .pick({ arch: true, classes: true, size: true, threads: true, device: true })
  .extend({
    /** `float64` is for the stored results, on a CPU. */
    precision: z.enum([...precisions, 'float64']),
  });

/** What a process of this bench is opened with, as JSON in its first argument. */
export type Place = Readonly<z.infer<typeof placeSchema>>;

/** What the program computes in. */
export function programPrecision({ precision }: Place): FloatType | 'float64' {
  return precision === 'tf32' ? 'float32' : precision;
}

const count = z.int().positive();

/** Milliseconds. */
const roundSchema = z.object({
  /** The whole state, out of the session and into it. */
  save: z.number(),
  load: z.number(),
  /** Gradients with their way to the host; the update with the sum's way back. */
  gradients: z.number(),
  update: z.number(),
  /** The same two of a worker that is alone, whose sum stays where it computes. */
  keptGradients: z.number(),
  keptUpdate: z.number(),
});

/** What such a process answers, by the kind of question. */
export const answerSchemas = {
  probe: z.object({ version: z.string(), usesGpu: z.boolean() }),
  /** The case of case.ts. */
  case: caseSchema,
  /** SHA-256 of the state after three steps of it. */
  digest: z.object({ sha256: z.string() }),
  handOver: z.object({ stateBytes: count, vectorBytes: count, rounds: z.array(roundSchema) }),
};

export type Answers = { [Kind in keyof typeof answerSchemas]: z.infer<(typeof answerSchemas)[Kind]> };

/** Vectors are those of all parameters. */
export type HandOverTimes = Answers['handOver'];
export type HandOverRound = HandOverTimes['rounds'][number];

/** What such a process can be asked. */
export const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('probe') }),
  z.object({ kind: z.literal('case') }),
  z.object({ kind: z.literal('digest') }),
  z.object({ kind: z.literal('handOver'), batch: count, rounds: count }),
]);
export type Question = z.infer<typeof questionSchema>;

export const script = fileURLToPath(new URL('device-process.js', import.meta.url));
