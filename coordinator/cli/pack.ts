import { Command, Option } from 'commander';
import { installation } from '../../runtime/installation.js';
import { printable, printableJson, shellWord, writeLines } from '../../runtime/printable.js';
import { isUrl } from '../../runtime/storage/store.js';
import type { Quarantined } from '../dataset/image-files.js';
import { openImages } from '../dataset/open-data.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { resolvePlace } from '../options/value-types.js';
import { defaultQuality } from '../pack/encode-image.js';
import { type KeyKind, keyKinds } from '../pack/keys.js';
import { type SampleOrder, sampleOrders } from '../pack/order.js';
import { openDestination } from '../pack/output-bucket.js';
import { requireOutput } from '../pack/output-folder.js';
import { packImages } from '../pack/pack-images.js';
import { formatCount } from '../terminal/figures.js';
import { openReporter } from '../terminal/reporter.js';
import { byteSize, formatBytes, pickStartOptions, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** Files left out that are named; the others are counted. */
const namedFiles = 5;
const [leastShard, mostShard, usualShard] = [2 ** 16, 2 ** 40, 2 ** 28];

const examples = `
Examples:
  coordinator pack photos --out packed
      images-000000.tar …, each up to ${formatBytes(usualShard)}; with folders train and valid in photos: train-000000.tar …, valid-000000.tar …
  coordinator pack imagenet --out packed --resize 512 --shard-size 1GiB
      images whose short side is longer than 512 pixels are shrunk; the others keep their bytes
  coordinator pack photos --labels labels.csv --out packed --order class-balanced
      every shard with each class's share of the images
  coordinator pack photos --out s3://bucket/packed
      into a bucket (or what AWS_ENDPOINT_URL names): the disk here need hold no more than two shards

Shards are tar files as WebDataset reads them: of each sample KEY.jpg (or .png, .webp, .gif, .tif, .avif, by what the
file is) and KEY.cls, the number of its class. README.md names the classes; index.rondo says where each image is, with
its label and SHA-256. The same images and options give the same bytes, on any machine; with --resize or --quality, on
any with the same version of libvips. \`coordinator start --data packed\` trains on them: the run is the same, bit for
bit, as on what was packed, unless images were encoded anew.

Images are checked first, as \`coordinator start\` does. Ctrl-C or a crash loses no more than the shard that is being
written: the same command goes on after the finished ones, which it knows by their digests, and writes none of them
again.`;

interface PackFlags {
  readonly out: string;
  readonly shardSize: number;
  readonly order: SampleOrder;
  readonly seed: number;
  readonly keys: KeyKind;
  readonly valid?: string;
  readonly resize?: number;
  readonly quality?: number;
  readonly skipBroken?: boolean;
  readonly json?: boolean;
}

export function packCommand(environment: StartEnvironment): Command {
  const command = new Command('pack')
    .description('Packs a data set into tar shards that WebDataset reads, with an index and a card.')
    .argument(
      '<DATA>',
      'what --data of `coordinator start` takes: a folder, packed images, or the name of a data set',
    )
    .requiredOption(
      '--out <DIR|s3://…>',
      'folder for the shards: a new or empty one, or one to go on with; or a place in a bucket, where each shard is uploaded while the next is packed',
    );
  const shared = pickStartOptions(['labelPattern', 'labels']);
  for (const option of shared) command.addOption(option);
  return command
    .optionsGroup('Data:')
    .option(
      '--valid <DIR>',
      'folder of images to validate on, laid out as DATA is (default: what DATA or --labels give, as for `start`)',
    )
    .option('--skip-broken', 'go on without images that cannot be used even where they are 1 % or more')
    .optionsGroup('Shards:')
    .addOption(
      new Option('--shard-size <SIZE>', 'of a shard, at most, such as 256MiB or 1GB')
        .argParser(byteSize(leastShard, mostShard))
        .default(usualShard, formatBytes(usualShard)),
    )
    .addOption(
      new Option(
        '--order <KIND>',
        "shuffled: at random; class-balanced: at random, each stretch with each class's share; sorted: as listed, class after " +
          'class, which readers that go from shard to shard learn badly from',
      )
        .choices(sampleOrders)
        .default('shuffled'),
    )
    .option('--seed <N>', 'decides the order', wholeNumber(0, 2 ** 32 - 1), 42)
    .addOption(
      new Option(
        '--keys <KIND>',
        'what samples are called in the shards. path: as their files; number: by their place in the data set',
      )
        .choices(keyKinds)
        .default('path'),
    )
    .optionsGroup('Images:')
    .option(
      '--resize <PIXELS>',
      'shrink images whose short side is longer, to JPEGs; the others keep their bytes (default: no)',
      wholeNumber(1, 65_535),
    )
    .option(
      '--quality <1-100>',
      `of the JPEGs that --resize writes (default: ${defaultQuality}); without --resize all images are encoded anew`,
      wholeNumber(1, 100),
    )
    .optionsGroup('Output:')
    .option('--json', 'JSON objects, one per line: progress, images that are left out, and what was packed')
    .addHelpText('after', examples)
    .action(async (data: string, flags: PackFlags) => {
      const given = shared.map((option) => [option.name(), command.getOptionValue(option.attributeName())]);
      environment.exit(await run(flags, { data, ...Object.fromEntries(given) }, environment));
    });
}

async function run(
  { json = false, skipBroken = false, ...flags }: PackFlags,
  raw: RawStart,
  { services, output, openLifecycle }: StartEnvironment,
): Promise<number> {
  const { data, labelPattern, labels, valid } = parseStart({ ...raw, valid: flags.valid });
  const out = resolvePlace(flags.out);
  await requireDestination(out);
  const lifecycle = openLifecycle();
  const { signal } = lifecycle;
  const reporter = openReporter(json ? output : process.stderr, { json }, services.nowMs);
  const { report } = reporter;
  try {
    const images = await openImages({
      data: data!,
      ...(labelPattern == null ? {} : { labelPattern }),
      ...(labels == null ? {} : { labelsFile: labels }),
      ...(valid == null ? {} : { validDir: valid }),
      skipBroken,
      cacheDir: installation().cacheDir,
      onProgress: (progress) => report({ kind: 'dataset', ...progress }),
      onQuarantined(files) {
        for (const { path, reason } of files) report({ kind: 'quarantined', path, reason });
      },
      signal,
    });
    for (const { level, ...remark } of images.remarks) report({ kind: level, ...remark });
    const { shards, found } = await packImages({
      ...{ images, out, order: flags.order, seed: flags.seed, keys: flags.keys },
      ...{ shardBytes: flags.shardSize, resize: flags.resize ?? null, quality: flags.quality ?? null },
      onProgress: (done, total) => report({ kind: 'dataset', phase: 'packing', done, total }),
      warn: (text) => report({ kind: 'warning', text }),
      signal,
    });
    reporter.close();
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    const samples = images.images.length;
    const classes = images.classes.length;
    const leftOut = images.quarantined.length;
    const packed = { out, images: samples, classes, bytes, quarantined: leftOut, found, shards };
    const lines = () => [...describeLeftOut(images.quarantined), ...describe(packed)];
    writeLines(output, json ? [printableJson({ kind: 'packed', ...packed })] : lines());
    return 0;
  } finally {
    reporter.close();
    lifecycle.close();
  }
}

/** Refuses what cannot take a pack before the images are looked at. */
async function requireDestination(out: string): Promise<void> {
  if (!isUrl(out)) return requireOutput(out);
  await openDestination(out).close();
}

function describeLeftOut(files: readonly Quarantined[]): string[] {
  if (files.length === 0) return [];
  const named = files.slice(0, namedFiles).map(({ path, reason }) => `  ${printable(path)} ${reason}`);
  const more = files.length - named.length;
  const rest = more === 0 ? [] : [`  and ${more} more, which --json lists`];
  return [`${formatCount(files.length, 'file')} left out as unusable:`, ...named, ...rest];
}

function describe(o: {
  readonly out: string;
  readonly images: number;
  readonly classes: number;
  readonly bytes: number;
  readonly found: number;
  readonly shards: readonly unknown[];
}): string[] {
  const count = `${formatCount(o.images, 'image')} of ${o.classes} classes in ${formatCount(o.shards.length, 'shard')}`;
  const before = o.found === 0 ? '' : `, ${o.found} of which were there already`;
  return [`${count} (${(o.bytes / 1e6).toFixed(1)} MB)${before}`, `all of it is in ${shellWord(o.out)}`];
}
