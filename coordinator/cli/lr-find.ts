import { join } from 'node:path';
import { Command } from 'commander';
import type { RangeTask } from '../../plan/range-test.js';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { adoptArch } from '../checkpoints/source-run.js';
import { findRates, findStart, folderOf } from '../lr-find/find-rates.js';
import { renderCurve, renderSuggestions } from '../lr-find/rate-text.js';
import { writeSearch } from '../lr-find/write-search.js';
import { gatherRaw } from '../options/config-file.js';
import { resolveStart } from '../options/start-config.js';
import type { RawStart } from '../options/start-schema.js';
import { openReporter } from '../terminal/reporter.js';
import { positiveNumber, startOptions, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** Options that only a run has. A config file that is shared with `start` may hold them. */
const optionsOfRuns = ['name', 'resume', 'nats', 'supervised', 'join-token-file', 'health', 'kubernetes'];

const examples = `
The network trains for --steps steps while its learning rate rises from --min-lr to --max-lr; then its weights are what
they were. All other options are those of \`coordinator start\`: the rates are for the first phase of the run that they
describe. Rates of early layers keep the proportions that --lr gives them.

Examples:
  coordinator lr-find --workers 4
      a rate for the sample set, with four workers on this machine
  coordinator lr-find --data pets --pretrained imagenet
      for the frozen epochs that \`start\` with the same options begins with
  coordinator lr-find --data pets --from runs/first-try/checkpoints/stage-1 --freeze-epochs 0 --json
      for training all layers after them; figures only

Ctrl-C stops at once: there is nothing to save.`;

export function lrFindCommand(environment: StartEnvironment): Command {
  const command = new Command('lr-find')
    .description('Finds a learning rate: tries a range of them and shows where the loss falls.')
    .optionsGroup('Learning rates:')
    .option('--min-lr <LR>', 'rate of the first step', positiveNumber, 1e-7)
    .option('--max-lr <LR>', 'rate towards which the last step comes', positiveNumber, 10)
    .option(
      '--steps <N>',
      'how many rates to try; fewer when the loss explodes',
      wholeNumber(2, 100_000),
      100,
    );
  for (const option of startOptions()) {
    if (!optionsOfRuns.includes(option.name())) command.addOption(option);
  }
  return command
    .optionsGroup('Run and output:')
    .option(
      '--out <DIR>',
      'folder for lr-find.json, lr-find.svg and lr-find.png (default: lr-find in the run of --from, else in --run-dir)',
    )
    .addHelpText('after', examples)
    .action(async () => environment.exit(await lrFind(gatherRaw(command), environment)));
}

/**
 * Runs `coordinator lr-find` to its end and returns the exit code. Throws the RondoError of a search that
 * failed.
 */
async function lrFind(
  { out, steps, 'min-lr': from, 'max-lr': to, ...raw }: RawStart,
  { services, output, openLifecycle }: StartEnvironment,
): Promise<number> {
  const task = { kind: 'lr-find', from, to, steps } as RangeTask;
  checkRange(task);
  const start = resolveStart(adoptArch(withoutRun(raw)));
  if (start.kind !== 'new') throw new RondoError('internal', 'lr-find resumes no run');
  const { runDir, json } = start.runtime;
  const source = await findStart(start);
  const folder = String(out ?? join(source === null ? runDir : folderOf(source), 'lr-find'));
  // A folder that cannot be made is reported before the search, not after it.
  makeFolder(folder);

  const lifecycle = openLifecycle();
  const reporter = openReporter(output, { json }, services.nowMs);
  try {
    const context = { services, report: reporter.report, signals: lifecycle };
    const search = await findRates(start, source, task, context);
    const files = await writeSearch(folder, search, start.training);
    reporter.close();
    const { points, suggestions, diverged, stateDigest } = search;
    const figures = { suggestions, steps: points.length, diverged, stateDigest, files };
    const lines = json
      ? [printableJson({ kind: 'lr-find', ...figures })]
      : [
          ...renderCurve(points),
          '',
          ...renderSuggestions(suggestions, points.length),
          `drawn in ${files.png}`,
        ];
    writeLines(output, lines);
    return 0;
  } finally {
    reporter.close();
    lifecycle.close();
  }
}

function withoutRun(raw: RawStart): RawStart {
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !optionsOfRuns.includes(name)));
}

function checkRange({ from, to }: RangeTask): void {
  if (from < to) return;
  throw new RondoError('invalid-argument', `--min-lr is ${from}, which is not below --max-lr ${to}`, {
    remedy: 'give --min-lr the smaller one; fastai tries 1e-7 to 10',
  });
}
