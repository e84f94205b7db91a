import { Command } from 'commander';
import { showBatchJob } from '../../proto/jobs.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { showBatch } from '../inference/show-batch.js';
import { runWorkerJob } from '../launch/run-job.js';
import { dataOptions } from '../options/data-options.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { resolveTraining } from '../options/training-options.js';
import { indexData } from '../run/prepare-run.js';
import { formatCount } from '../terminal/figures.js';
import { openReporter } from '../terminal/reporter.js';
import { pickStartOptions, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

const examples = `
Examples:
  coordinator show-batch --data photos
      batch.png: 16 images, flipped, turned, warped, zoomed, cropped and lit as training does it
  coordinator show-batch --data photos --augment none --size 96 --count 36 --out plain.png
      the middle of each image, at 96 pixels

The images are the first that \`coordinator start\` with the same --seed trains on in that epoch (with --shuffle-window,
those of the first micro-batches, whose sizes must then be the same too), and they pass through the same loader and the same graph; only the normalisation is undone.`;

/** What decides which images there are, and how they look. */
const sharedOptions = [
  ...(Object.keys(dataOptions) as (keyof typeof dataOptions)[]),
  ...(['size', 'augment', 'batchSize', 'microBatch'] as const),
];

interface ShowBatchFlags {
  readonly count: number;
  readonly out: string;
  readonly epoch: number;
  readonly json?: boolean;
}

export function showBatchCommand(environment: StartEnvironment): Command {
  const command = new Command('show-batch').description(
    'Draws training images with their labels as a PNG, exactly as the network sees them.',
  );
  const shared = pickStartOptions(sharedOptions);
  for (const option of shared) command.addOption(option);
  return command
    .optionsGroup('Picture:')
    .option('--epoch <N>', 'of training, counted from 0', wholeNumber(0, 100_000), 0)
    .option('--count <N>', 'how many images', wholeNumber(1, 400), 16)
    .option('--out <FILE>', 'the PNG to write', 'batch.png')
    .option('--json', 'one JSON object that lists the images and their labels')
    .addHelpText('after', examples)
    .action(async (flags: ShowBatchFlags) => {
      const given = shared.map((option) => [option.name(), command.getOptionValue(option.attributeName())]);
      environment.exit(await run(flags, Object.fromEntries(given), environment));
    });
}

async function run(
  { count, out, epoch, json }: ShowBatchFlags,
  raw: RawStart,
  { services, output, openLifecycle }: StartEnvironment,
): Promise<number> {
  const { seed, size, augment, ...training } = resolveTraining(parseStart(raw));
  const lifecycle = openLifecycle();
  const { signal } = lifecycle;
  const reporter = openReporter(process.stderr, { json: false }, services.nowMs);
  try {
    const context = { services, report: reporter.report, signal };
    const { dataset } = await indexData({ ...training, seed, size, augment }, context);
    const { shuffleWindow, batchSize, microBatch } = training;
    const order = { seed, shuffleWindow, batchSize, microBatch };
    const options = { dataset, ...order, size, augment, epoch, count, out, signal };
    const images = await showBatch({
      ...options,
      runJob: (request, options) => runWorkerJob(showBatchJob, request, options),
    });
    reporter.close();
    const text = json
      ? printableJson({ kind: 'batch', file: out, seed, size, augment, epoch, images })
      : `${formatCount(images.length, 'image')} in ${out}`;
    writeLines(output, [text]);
    return 0;
  } finally {
    reporter.close();
    lifecycle.close();
  }
}
