import { runCoordinator } from './coordinator-process.js';
import type { QuickRuns } from './quick-run.js';

/** What `coordinator predict --json` says of an image. */
export interface PredictionLine {
  readonly image: string;
  readonly top: readonly { readonly class: string; readonly probability: number }[];
}

/** Has a run's network predict; all of three classes are told. */
export async function predictWith(runs: QuickRuns, run: string, ...inputs: string[]) {
  const { code, events, stderr } = await runCoordinator([
    ...['predict', run, '--run-dir', runs.root, '--json', '--top', '3'],
    ...inputs,
  ]);
  const byKind = (kind: string) => events.filter((event) => event.kind === kind);
  return { code, stderr, told: byKind('prediction') as unknown as PredictionLine[], byKind };
}

/** In the order of `classes`, all of which are told. */
export function probabilitiesIn({ top }: PredictionLine, classes: readonly string[]): number[] {
  return classes.map((name) => top.find((entry) => entry.class === name)!.probability);
}
