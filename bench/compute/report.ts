import { type Environment, formatEnvironment } from '../support/environment.js';
import type { Setting } from './implementation.js';
import { formatResult, type Result } from './result.js';

export interface ComputeReport
  extends Pick<Setting, 'arch' | 'batch' | 'classes' | 'input' | 'precision' | 'device'> {
  readonly bench: 'step' | 'predict';
  /** Of each process in each turn. */
  readonly steps: number;
  readonly repeats: number;
  readonly environment: Environment;
  /** Versions of the peers' Python modules; null without them. */
  readonly peers: Readonly<Record<string, string>> | null;
  readonly results: readonly Result[];
}

export function formatReport(report: ComputeReport): string {
  const { bench, arch, batch, input, precision, device, repeats, steps, environment, peers } = report;
  const versions = peers === null ? '' : `, torch ${peers.torch}`;
  const title = `${bench}: ${arch}, ${precision} on the ${device}, batch ${batch} per worker, fed with ${input}, ${repeats} turns of ${steps} steps`;
  const ratios =
    'ratio: images/s of the first row to this one; CPU ratio: time per image of this row to the first';
  return [
    `${title}\n${formatEnvironment(environment)}${versions}`,
    ...report.results.map(formatResult),
    ratios,
  ].join('\n\n');
}
