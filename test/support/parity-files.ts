import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Measured, MeasuredFigures } from '../../bench/parity/compare.js';
import { type Figures, parseReference, type Reference } from '../../bench/parity/reference.js';

export function parityFile(name: 'resnet18' | 'resnet34'): string {
  return fileURLToPath(new URL(`parity/${name}.json`, import.meta.url));
}

export function parityReference(name: 'resnet18' | 'resnet34'): Reference {
  return parseReference(readFileSync(parityFile(name), 'utf8'), name);
}

/** A measurement that agrees with `reference` in every figure; tensors are taken for 100 elements each. */
export function agreeing(reference: Reference): Measured {
  const figures = (named: Record<string, Figures>) =>
    new Map(
      Object.entries(named).map(([name, f]): [string, MeasuredFigures] => [name, { ...f, count: 100 }]),
    );
  return {
    parameters: reference.parameters,
    labels: reference.labels,
    evalLogits: reference.eval_logits,
    trainLoss: reference.train_loss,
    gradients: figures(reference.gradients),
    gradientDistance: 0,
    statistics: figures(reference.running_after_one_step),
    trace: reference.trace,
    float32Losses: reference.trace.map(({ loss }) => loss),
    parametersAfterTrace: figures(reference.parameters_after_trace),
  };
}
