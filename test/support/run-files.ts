import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { StepLine } from '../../coordinator/run-store/ledger.js';
import { readLedger, settleLedger } from '../../coordinator/run-store/ledger.js';
import type { Summary } from '../../coordinator/run-store/summary.js';
import { readSafetensors } from '../../worker/model/weights/safetensors.js';
import type { JsonEvent } from './coordinator-process.js';

export function readSummaryFile(run: string): Summary {
  return JSON.parse(readFileSync(path.join(run, 'summary.json'), 'utf8')) as Summary;
}

export function readMetrics(run: string, kind: string): JsonEvent[] {
  return readFileSync(path.join(run, 'metrics.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonEvent)
    .filter((metric) => metric.kind === kind);
}

export function readCommittedSteps(run: string): readonly StepLine[] {
  return settleLedger(readLedger(path.join(run, 'ledger.jsonl'))).steps;
}

/** The network's parameters in a checkpoint, tensor after tensor. */
export function readParameters(checkpoint: string): Map<string, Float64Array> {
  const tensors = readSafetensors(readFileSync(path.join(checkpoint, 'state.safetensors')));
  const parameters = new Map<string, Float64Array>();
  for (const [name, { values }] of tensors) {
    if (!name.startsWith('optimizer.')) parameters.set(name, Float64Array.from(values as Iterable<number>));
  }
  return parameters;
}
