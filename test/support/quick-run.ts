import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** The smallest real training: a ResNet18 on 32-pixel images, micro-batches of 4. */
const quick = ['--arch', 'resnet18', '--size', '32', '--batch-size', '20', '--micro-batch', '4', '--json'];

export interface QuickRuns {
  /** Folder of all runs. */
  readonly root: string;
  run(name: string): string;
  /** The command line of a run called `name`. */
  start(name: string, data: string, ...more: string[]): string[];
  resume(name: string, ...more: string[]): string[];
  /** That of a range test which writes into the folder `out`, on one thread. */
  findRate(out: string, data: string, ...more: string[]): string[];
  remove(): void;
}

/** Runs in a temporary folder of their own. */
export function openQuickRuns(): QuickRuns {
  const root = mkdtempSync(path.join(tmpdir(), 'rondo-runs-'));
  return {
    root,
    run: (name) => path.join(root, name),
    start: (name, data, ...more) => [
      'start',
      '--data',
      data,
      '--run-dir',
      root,
      '--name',
      name,
      ...quick,
      ...more,
    ],
    findRate: (out, data, ...more) => [
      ...['lr-find', '--data', data, '--run-dir', root, '--out', out, ...quick],
      ...['--lr', '1e-4,1e-2', '--threads', '1', ...more],
    ],
    resume: (name, ...more) => ['start', '--resume', path.join(root, name), '--json', ...more],
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
