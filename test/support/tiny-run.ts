import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LedgerLine, StepLine } from '../../coordinator/run-store/ledger.js';
import { divideStep, planStep, samplesAt, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { runConfig } from './run-config.js';

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** 22 samples in steps of 8, so that an epoch has 3 steps and the last is partial; 2 phases, 3 epochs. */
export function tinyConfig(changes: Partial<RunConfig> = {}): RunConfig {
  return runConfig({
    runId: 'tiny',
    classes: ['cat', 'dog'],
    trainCount: 22,
    validCount: 5,
    datasetDigest: 'd'.repeat(64),
    size: 64,
    presize: 74,
    microBatch: 4,
    phases: [
      { name: 'frozen', epochs: 1, trainable: 'frozen', learningRates: [1e-3, 1e-3, 1e-3] },
      { name: 'unfrozen', epochs: 2, trainable: 'all', learningRates: [1e-4, 1e-4, 1e-4] },
    ],
    ...changes,
  });
}

export function tinyDataset(): Dataset {
  const samples = (count: number, folder: string) =>
    Array.from({ length: count }, (_, index) => ({
      path: `${folder}/${index}.jpg`,
      label: index % 2,
      ...{ width: 64, height: 64 },
      digest: Buffer.from(`${folder} ${index}`).toString('hex').padStart(64, '0'),
    }));
  return {
    root: '/nowhere',
    classes: ['cat', 'dog'],
    train: samples(22, 'train'),
    valid: samples(5, 'valid'),
    digest: 'd'.repeat(64),
  };
}

/** What each rank computes of a step. */
export function sharesOf(config: RunConfig, step: number, worldSize: number): number[][] {
  const plan = planStep(config, step);
  return divideStep(plan, worldSize).map((share) => [...samplesAt(plan, share)]);
}

export function stepLine(config: RunConfig, step: number, worldSize = 2, generation = 1): StepLine {
  const { epoch, sampleIds } = planStep(config, step);
  return {
    kind: 'step',
    step,
    epoch,
    generation,
    worldSize,
    loss: lossOf(step),
    correct: 1,
    samples: sampleIds.length,
    skipped: false,
    seconds: 0.5,
    attempt: 1,
    shares: sharesOf(config, step, worldSize),
  };
}

/** The ledger of a whole run. */
export function wholeLedger(config: RunConfig, worldSize = 2): LedgerLine[] {
  return Array.from({ length: totalSteps(config) }, (_, step) => stepLine(config, step, worldSize));
}

export function lossOf(step: number): number {
  return 2 / (1 + step);
}
