import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { archs } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

const count = z.int().positive();
const figures = z.object({ norm: z.number(), first: z.array(z.number()).max(3) });
const figuresByName = z.record(z.string(), figures);

const referenceSchema = z
  .object({
    arch: z.enum(archs),
    classes: count,
    size: count,
    batch: count,
    seed: z.int(),
    labels: z.array(z.int().nonnegative()),
    parameters: count,
    eval_logits: z.array(z.array(z.number())),
    train_loss: z.number(),
    gradients: figuresByName,
    running_after_one_step: figuresByName,
    trace: z
      .array(z.object({ momentum: z.number(), lr: z.array(z.number()).length(3), loss: z.number() }))
      .nonempty(),
    parameters_after_trace: figuresByName,
  })
  .refine((file) => file.labels.length === file.batch, { error: 'labels are not one per image' })
  .refine(
    ({ eval_logits: rows, batch, classes }) =>
      rows.length === batch && rows.every((row) => row.length === classes),
    { error: 'eval_logits are not batch × classes' },
  );

/** What PyTorch computed, in float64, from weights and inputs by the formula of formula.ts. */
export type Reference = z.infer<typeof referenceSchema>;
/** Of one tensor, in PyTorch's layout: Euclidean norm and the first three elements. */
export type Figures = z.infer<typeof figures>;

/**
 * Reads a file that make_parity.py wrote. Throws not-found or invalid-argument, naming the file and what is
 * wrong in it.
 */
export async function readReference(file: string): Promise<Reference> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = RondoError.from(error);
    throw new RondoError(code, `Cannot read ${file}: ${message}.`, { cause: error });
  }
  return parseReference(text, file);
}

export function parseReference(text: string, file: string): Reference {
  const remedy = 'give a file that make_parity.py printed';
  return parseJson(referenceSchema, text, { name: file, code: 'invalid-argument', remedy });
}
