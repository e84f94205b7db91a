import { Command } from 'commander';
import { defaults } from '../options/defaults.js';
import { readLedger } from '../run-store/ledger.js';
import { findRunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { readSummary } from '../run-store/summary.js';
import { type Verdict, verifyLedger } from '../run-store/verify-ledger.js';
import { formatCount } from '../terminal/count-text.js';

export interface VerifyEnvironment {
  readonly output: { write(text: string): unknown };
  exit(code: number): void;
}

export function verifyRunCommand({ output, exit }: VerifyEnvironment): Command {
  return new Command('verify-run')
    .description('Proves from its ledger that a run used each sample of each epoch exactly once, as planned.')
    .argument('<RUN>', 'name or folder of the run')
    .option('--run-dir <DIR>', 'folder that holds the runs', defaults.runDir)
    .option('--json', 'the verdict as one JSON object')
    .addHelpText(
      'after',
      '\nExit codes: 0 proven, 1 something differs (the first difference is printed), 2 no such run.',
    )
    .action(async (run: string, { runDir, json }: { runDir: string; json?: boolean }) => {
      const verdict = await verifyRun(run, runDir);
      output.write(
        `${json ? JSON.stringify({ kind: 'verdict', ...verdict }) : describeVerdict(run, verdict)}\n`,
      );
      exit(verdict.ok ? 0 : 1);
    });
}

/** Throws not-found when there is no such run, and data-loss when its files cannot be read. */
export async function verifyRun(run: string, runDir: string): Promise<Verdict> {
  const directory = findRunDirectory(run, runDir);
  const { config } = readRunRecord(directory);
  const summary = await readSummary(directory);
  const complete = summary?.status === 'completed' && !summary.earlyStopped;
  return verifyLedger(config, readLedger(directory.ledger), { complete });
}

export function describeVerdict(run: string, verdict: Verdict): string {
  if (!verdict.ok) {
    const where = verdict.line === null ? '' : `, ledger line ${verdict.line}`;
    return `${run}${where}: ${verdict.difference}`;
  }
  const { epochs, steps, samples, worldSizes, rollbacks, skipped } = verdict;
  const sentences = [
    `${run}: each sample is used exactly once in ${formatCount(epochs, 'whole epoch')}; ${formatCount(steps, 'step')} ` +
      `(${formatCount(samples, 'sample')}) as planned, world size ${worldSizes.join(', ')}`,
  ];
  if (rollbacks > 0) sentences.push(`${formatCount(rollbacks, 'rollback')} honoured`);
  if (skipped > 0) sentences.push(`${formatCount(skipped, 'step')} skipped by all workers as not finite`);
  return sentences.join('; ');
}
