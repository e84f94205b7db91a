import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { publish } from '../support/publish.js';
import { type Defaults, parseComputeArguments } from './arguments.js';
import type { Implementation, Setting, Work } from './implementation.js';
import { type Entry, measureInTurn } from './measure.js';
import { openPeers } from './peers.js';
import { type ComputeReport, formatReport } from './report.js';
import { openRondo } from './rondo.js';

/** The pets of the lesson. */
const classes = 37;

/** A bench of what a worker computes with batches that are ready. */
export interface ComputeBench {
  readonly bench: ComputeReport['bench'];
  readonly defaults: Defaults;
  /** What Rondo is compared at, with --peers. */
  readonly work: Work;
  /** Rondo's own further entries, measured in the same turns. */
  alongside(rondo: Implementation): Entry[];
}

/** Measures every size in every division of the cores, and publishes a report. */
export async function runComputeBench(
  { bench, defaults, work, alongside }: ComputeBench,
  args: readonly string[],
): Promise<void> {
  const o = parseComputeArguments(bench, defaults, args);
  const { arch, batch, input, precision, device, steps, repeats } = o;
  const peers = await findPeers(o.peers, ['torch', 'torchvision']);
  const results = [];
  for (const size of o.sizes) {
    for (const workers of o.workers) {
      const { threads } = workers;
      const setting: Setting = { arch, batch, input, precision, device, size, classes, threads };
      const rondo = openRondo(setting, workers.processes);
      const others = o.peers ? openPeers(setting, workers.processes, peers !== null) : [];
      const entries = [rondo, ...others].map((implementation) => ({ implementation, work }));
      results.push(
        await measureInTurn({ size, workers }, [...entries, ...alongside(rondo)], { steps, repeats }),
      );
    }
  }
  const report: ComputeReport = {
    ...{ bench, arch, batch, classes, input, precision, device, steps, repeats },
    ...{ environment: describeEnvironment(), peers, results },
  };
  publish(report, formatReport(report), o.json);
}
