import { Command } from 'commander';
import { RondoError } from '../../runtime/errors.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { measureOrder, type OrderCost } from '../dataset/order-cost.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { resolveTraining } from '../options/training-options.js';
import { indexData } from '../run/prepare-run.js';
import { alignColumns, formatCount, formatInteger } from '../terminal/figures.js';
import { openReporter } from '../terminal/reporter.js';
import { pickStartOptions, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** Windows that are compared where none is asked for, those below the number of shards. */
const usualWindows = [1, 4, 16, 64, 256];

const examples = `
Examples:
  coordinator data plan s3://bucket/packed
      all images mixed at once, and windows of 1, 4, 16 … shards
  coordinator data plan s3://bucket/packed --shuffle-window 32 --batch-size 256 --machines 4

Nothing but the index is fetched; of tars without one all, once. requests and MB: of the first epoch, all machines together,
validation included. each: of the machine that fetches most. With windows it needs the same shards in every epoch: a cache
(--cache-gib) that holds so much fetches nothing from the second epoch on; where all images are mixed, it would have to
hold the data set. cache: what the epoch itself needs on each machine to fetch no shard twice. USD: S3's list price of the
requests; traffic out of its region is charged beside that. batch, micro: shards that the images of a batch and of a
micro-batch come from. neighbours: how often two images that follow each other in the data set meet in a batch, 1 being
what mixing all gives.`;

interface PlanFlags {
  readonly json?: boolean;
  readonly machines: number;
}

export function dataCommand(environment: StartEnvironment): Command {
  return new Command('data')
    .description('Says what reading packed images costs.')
    .addCommand(planCommand(environment));
}

function planCommand(environment: StartEnvironment): Command {
  const command = new Command('plan')
    .description(
      'Compares orders of an epoch, before training: requests, bytes, cache, cost, and how well they mix.',
    )
    .argument('<DATA>', 'packed images: folder or URL');
  const shared = pickStartOptions([
    ...(['batchSize', 'microBatch', 'shuffleWindow', 'validPct', 'split', 'seed'] as const),
  ]);
  for (const option of shared) command.addOption(option);
  return command
    .option('--machines <N>', 'that divide each step, with a cache each', wholeNumber(1, 100_000), 1)
    .option('--json', 'one JSON object per order')
    .addHelpText('after', examples)
    .action(async (data: string, flags: PlanFlags) => {
      const given = shared.map((option) => [option.name(), command.getOptionValue(option.attributeName())]);
      await run({ data, ...Object.fromEntries(given) }, flags, environment);
      environment.exit(0);
    });
}

async function run(
  raw: RawStart,
  { json, machines }: PlanFlags,
  { services, output, openLifecycle }: StartEnvironment,
): Promise<void> {
  const training = resolveTraining(parseStart(raw));
  const lifecycle = openLifecycle();
  const reporter = openReporter(process.stderr, { json: false }, services.nowMs);
  try {
    const context = { services, report: reporter.report, signal: lifecycle.signal };
    const { dataset } = await indexData({ ...training, shuffleWindow: 0 }, context);
    const shards = dataset.shards?.shards.length ?? 0;
    if (shards === 0) {
      throw new RondoError('invalid-argument', `${training.data} has no shards`, {
        remedy: 'give packed images; `coordinator pack` makes them',
      });
    }
    const asked = training.shuffleWindow;
    const windows = [0, ...(asked > 0 ? [asked] : usualWindows.filter((window) => window < shards))];
    const { seed, batchSize, microBatch } = training;
    const common = { seed, batchSize, microBatch, machines };
    const costs = windows.map((window) => measureOrder(dataset, { window, ...common }));
    reporter.close();
    const images = dataset.train.length + dataset.valid.length;
    writeLines(
      output,
      json
        ? costs.map((cost) =>
            printableJson({ kind: 'order', shards, batchSize, microBatch, machines, ...cost }),
          )
        : [
            `${formatCount(images, 'image')} in ${formatCount(shards, 'shard')}, batches of ${batchSize} in micro-batches of ${microBatch}, ${formatCount(machines, 'machine')}`,
            ...render(costs),
          ],
    );
  } finally {
    reporter.close();
    lifecycle.close();
  }
}

function render(costs: readonly OrderCost[]): string[] {
  const megabytes = (bytes: number) => formatInteger(Math.ceil(bytes / 1e6));
  return alignColumns(
    [
      ['order', 'requests', 'MB', 'each MB', 'cache MB', 'USD', 'batch', 'micro', 'neighbours'],
      ...costs.map((cost) => [
        cost.window === 0 ? 'all at once' : `--shuffle-window ${cost.window}`,
        formatInteger(cost.requests),
        megabytes(cost.bytes),
        megabytes(cost.machineBytes),
        megabytes(cost.cacheBytes),
        cost.dollars.toFixed(4),
        cost.shardsPerBatch.toFixed(1),
        cost.shardsPerMicroBatch.toFixed(1),
        cost.neighbours.toFixed(2),
      ]),
    ],
    (column) => column > 0,
  );
}
