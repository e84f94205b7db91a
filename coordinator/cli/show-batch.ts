import { Command } from 'commander';
import { printableJson } from '../../runtime/printable.js';
import { showBatch } from '../inference/show-batch.js';
import { runWorkerJob } from '../launch/run-job.js';
import { defaults, recipes } from '../options/defaults.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { resolveTraining } from '../options/training-options.js';
import { indexData } from '../run/prepare-run.js';
import { formatCount } from '../terminal/count-text.js';
import { openReporter } from '../terminal/reporter.js';
import { writeLines } from '../terminal/write-lines.js';
import type { StartEnvironment } from './start.js';
import { wholeNumber } from './whole-number.js';

const examples = `
Examples:
  coordinator show-batch --data photos
      batch.png: 16 images, flipped, turned, warped, zoomed, cropped and lit as training does it
  coordinator show-batch --data photos --augment none --size 96 --count 36 --out plain.png
      the middle of each image, at 96 pixels

The images are the first that \`coordinator start\` with the same --seed trains on in that epoch, and they pass through
the same loader and the same graph; only the normalisation is undone.`;

interface ShowBatchFlags {
  readonly count: number;
  readonly out: string;
  readonly epoch: number;
  readonly json?: boolean;
  readonly data?: string;
  readonly labelPattern?: string;
  readonly labels?: string;
  readonly valid?: string;
  readonly validPct?: string;
  readonly split?: string;
  readonly skipBroken?: boolean;
  readonly seed?: string;
  readonly size?: string;
  readonly augment?: string;
}

export function showBatchCommand(environment: StartEnvironment): Command {
  return new Command('show-batch')
    .description('Draws training images with their labels as a PNG, exactly as the network sees them.')
    .option('--data <DIR|NAME>', 'as in `coordinator start` (default: sample)')
    .option('--label-pattern <REGEX>', 'as in `coordinator start`')
    .option('--labels <FILE.csv>', 'as in `coordinator start`')
    .option('--valid <DIR>', 'as in `coordinator start`')
    .option('--valid-pct <FRACTION>', `share that is not trained on (default: ${defaults.validPct})`)
    .option('--split <KIND>', 'as in `coordinator start`')
    .option('--skip-broken', 'as in `coordinator start`')
    .option('--seed <N>', `decides the split, the order and the augmentation (default: ${defaults.seed})`)
    .option(
      '--size <PIXELS>',
      `side of the network's input (default: ${recipes.folder.size}; sample: ${recipes.sample.size})`,
    )
    .option('--augment <KIND>', `none, flip or fastai (default: ${defaults.augment})`)
    .option('--epoch <N>', 'of training, counted from 0', wholeNumber(0, 100_000), 0)
    .option('--count <N>', 'how many images', wholeNumber(1, 400), 16)
    .option('--out <FILE>', 'the PNG to write', 'batch.png')
    .option('--json', 'one JSON object that lists the images and their labels')
    .addHelpText('after', examples)
    .action(async (flags: ShowBatchFlags) => environment.exit(await run(flags, environment)));
}

async function run(
  { count, out, epoch, json, ...data }: ShowBatchFlags,
  { services, output, openLifecycle }: StartEnvironment,
): Promise<number> {
  const { seed, size, augment, ...training } = resolveTraining(parseStart(withDashes(data)));
  const lifecycle = openLifecycle();
  const { signal } = lifecycle;
  const reporter = openReporter(process.stderr, { json: false }, services.nowMs);
  try {
    const context = { services, report: reporter.report, signal };
    const { dataset } = await indexData({ ...training, seed, size, augment }, context);
    const options = { dataset, seed, size, augment, epoch, count, out, signal };
    const images = await showBatch({ ...options, runJob: runWorkerJob });
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

/** commander's names of options as they are on the command line. */
function withDashes(flags: object): RawStart {
  const entries = Object.entries(flags);
  return Object.fromEntries(
    entries.map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value]),
  );
}
