import { beforeAll, expect } from 'vitest';
import { type JsonEvent, runCoordinator } from './coordinator-process.js';
import { openTinyRuns, type TinyRuns } from './tiny-runs.js';

/** What `coordinator predict --json` says of an image. */
export interface PredictionLine {
  readonly image: string;
  readonly top: readonly { readonly class: string; readonly probability: number }[];
}

/** Of the tiny folder, in the order of their labels. */
export const classes = ['blue', 'green', 'red'];

/** By label. */
export function probabilitiesOf({ top }: PredictionLine): number[] {
  return classes.map((name) => top.find((entry) => entry.class === name)!.probability);
}

export interface TrainedRun extends TinyRuns {
  /** Has the run's network predict; all classes are told. */
  predict(...inputs: string[]): Promise<{
    readonly code: number | null;
    readonly stderr: string;
    readonly told: readonly PredictionLine[];
    byKind(kind: string): readonly JsonEvent[];
  }>;
}

/** A run called `tiny`, of two epochs, for the tests of a file: 60 images of 48 × 48. */
export async function openTrainedRun(): Promise<TrainedRun> {
  const runs = await openTinyRuns(20, 48);
  beforeAll(async () => {
    const trained = await runCoordinator(runs.start('tiny', runs.data, '--epochs', '2', '--seed', '3'));
    expect(trained.code, trained.stderr).toBe(0);
  });
  return {
    ...runs,
    async predict(...inputs) {
      const { code, events, stderr } = await runCoordinator([
        ...['predict', 'tiny', '--run-dir', runs.root, '--json', '--top', '3'],
        ...inputs,
      ]);
      const byKind = (kind: string) => events.filter((event) => event.kind === kind);
      return { code, stderr, told: byKind('prediction') as unknown as PredictionLine[], byKind };
    },
  };
}
