import { resolve } from 'node:path';
import type { Command } from 'commander';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { describeSkipped } from '../checkpoints/choose-checkpoint.js';
import { evaluateRun, type RunEvaluation } from '../inference/evaluate-run.js';
import { resolvePlace } from '../options/value-types.js';
import { renderInterpretation } from '../report/interpretation-table.js';
import { reportDefaults, writeReport } from '../report/write-report.js';
import { readLedger, settleLedger } from '../run-store/ledger.js';
import { findRunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { formatCount } from '../terminal/figures.js';
import { openReporter } from '../terminal/reporter.js';
import {
  checkpointOption,
  commandOnRun,
  movedDataOption,
  movedValidOption,
  runDirOption,
  ttaOption,
  wholeNumber,
} from './command-options.js';
import type { StartEnvironment } from './start.js';

export type InterpretEnvironment = Pick<StartEnvironment, 'services' | 'output' | 'openLifecycle' | 'exit'>;

const examples = `
Examples:
  coordinator interpret first-try
      evaluate the run's network once more and write runs/first-try/report/index.html
  coordinator interpret first-try --workers 4 --top 24 --checkpoint epoch-0002
      share the images among four workers, show the 24 highest losses, of the network after its third epoch

In the report: learning curves and schedule, confusion matrix, most confused pairs, images of the highest losses, scores
by class. Beside it: predictions.jsonl (every validation image), interpretation.json, and the charts as PNG.`;

interface InterpretFlags {
  readonly workers?: number;
  readonly top: number;
  readonly minCount: number;
  readonly checkpoint?: string;
  readonly data?: string;
  readonly valid?: string;
  readonly labels?: string;
  readonly tta?: boolean;
  readonly runDir: string;
  readonly json?: boolean;
}

export function interpretCommand(environment: InterpretEnvironment): Command {
  const { topCount, minCount } = reportDefaults;
  return commandOnRun(
    'interpret',
    'Shows what the network of a run gets wrong: evaluates it and writes a report.',
  )
    .option(
      '--workers <N>',
      'workers on this machine that share the images (default: as many as the run had)',
      wholeNumber(1, 1024),
    )
    .option('--top <K>', 'how many of the highest losses to show', wholeNumber(1, 1000), topCount)
    .option('--min-count <N>', 'leave out pairs confused less often', wholeNumber(1, 1_000_000), minCount)
    .addOption(checkpointOption())
    .addOption(movedDataOption())
    .addOption(movedValidOption())
    .option('--labels <FILE>', 'where its file of labels is now, if that has moved')
    .addOption(ttaOption())
    .addOption(runDirOption())
    .option('--json', 'one JSON object per line; the last holds the figures')
    .addHelpText('after', examples)
    .action(async (run: string, flags: InterpretFlags) => {
      await interpretRun(run, flags, environment);
      environment.exit(0);
    });
}

/**
 * Throws not-found when there is no such run or checkpoint, failed-precondition when the images have changed.
 */
async function interpretRun(
  run: string,
  { workers, top, minCount, checkpoint, tta = false, data, valid, labels, runDir, json }: InterpretFlags,
  { services, output, openLifecycle }: InterpretEnvironment,
): Promise<void> {
  const directory = findRunDirectory(run, runDir);
  const record = readRunRecord(directory);
  const lifecycle = openLifecycle();
  const reporter = openReporter(output, { json: json ?? false }, services.nowMs);
  const workerCount = workers ?? record.workers;
  try {
    const task = `evaluating ${formatCount(record.config.validCount, 'image')}`;
    reporter.report({ kind: 'note', text: `${task} on ${formatCount(workerCount, 'worker')}` });
    const evaluation = await evaluateRun({
      directory,
      workers: workerCount,
      tta,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      moved: {
        ...(data === undefined ? {} : { data: resolvePlace(data) }),
        ...(valid === undefined ? {} : { valid: resolve(valid) }),
        ...(labels === undefined ? {} : { labels: resolve(labels) }),
      },
      ...{ services, report: reporter.report, signals: lifecycle },
    });
    const skipped = describeSkipped(evaluation.checkpoint);
    if (skipped !== null) reporter.report({ kind: 'warning', text: skipped });
    const written = await writeReport({
      ...{ directory, evaluation, minCount, topCount: top },
      history: await settleLedger(readLedger(directory.ledger)),
      dataset: evaluation.dataset,
      origin: describeOrigin(evaluation, tta),
    });
    reporter.close();
    const { interpretation, figures, index: report, unreadable } = written;
    const place = { report, checkpoint: evaluation.checkpoint.name, unreadable };
    const lines = json
      ? [printableJson({ kind: 'interpretation', ...place, ...figures })]
      : [...renderInterpretation(interpretation), `report: ${report}`];
    writeLines(output, lines);
  } finally {
    reporter.close();
    lifecycle.close();
  }
}

function describeOrigin({ checkpoint: { name, record } }: RunEvaluation, tta: boolean): string {
  const when = record.whole ? `after epoch ${record.epoch + 1}` : `after ${record.step} steps`;
  return `${when} (${name})${tta ? ' with test-time augmentation' : ''}`;
}
