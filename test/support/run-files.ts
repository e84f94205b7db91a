import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { LedgerLine, StepLine } from '../../coordinator/run-store/ledger.js';
import type { Summary } from '../../coordinator/run-store/summary.js';
import { readSafetensors } from '../../worker/model/weights/safetensors.js';
import type { JsonEvent } from './coordinator-process.js';

export function readSummaryFile(run: string): Summary {
  return JSON.parse(readFileSync(path.join(run, 'summary.json'), 'utf8')) as Summary;
}

/** A small file of JSON lines, read at once. */
export function readJsonLines<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

export function readMetrics(run: string, kind: string): JsonEvent[] {
  return readJsonLines<JsonEvent>(path.join(run, 'metrics.jsonl')).filter((metric) => metric.kind === kind);
}

/** Those that count after all rollbacks, with their samples. */
export function readCommittedSteps(run: string): readonly StepLine[] {
  const steps: StepLine[] = [];
  for (const line of readJsonLines<LedgerLine>(path.join(run, 'ledger.jsonl'))) {
    if (line.kind === 'step') steps.push(line);
    if (line.kind === 'rollback') steps.length = line.toStep;
  }
  return steps;
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

/** SHA-256 of the state in a checkpoint: weights, statistics, moments, averages. */
export function readStateDigest(checkpoint: string): string {
  const file = path.join(checkpoint, 'checkpoint.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { stateDigest: string }).stateDigest;
}
