import type { Command } from 'commander';
import { predictJob } from '../../proto/jobs.js';
import { maxImageSize } from '../../runtime/images.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { chooseCheckpoint, describeSkipped } from '../checkpoints/choose-checkpoint.js';
import {
  listImages,
  type Prediction,
  predictImages,
  renderPredictions,
  type UnreadableImage,
} from '../inference/predict-images.js';
import { runWorkerJob } from '../launch/run-job.js';
import { findRunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { formatCount } from '../terminal/figures.js';
import { openWorkProgress } from '../terminal/work-progress.js';
import { checkpointOption, commandOnRun, runDirOption, ttaOption, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** What a command that uses a trained network needs of its process. */
export type NetworkEnvironment = Pick<StartEnvironment, 'output' | 'openLifecycle' | 'exit'>;

const nothingReadExitCode = 2;

const examples = `
Examples:
  coordinator predict first-try holiday.jpg
      the likeliest classes of one image, with their probabilities
  coordinator predict first-try inbox/ --top 1 --json > labels.jsonl
      every image of a folder and of its folders, one JSON object per line
  coordinator predict first-try holiday.jpg --tta
      from nine views of it

The network is that of the run's best checkpoint by error rate, or its newest. Images are decoded, resized and cropped
as in validation. Files that cannot be read, and images of more than ${maxImageSize}, are named and left out;
where none can be read, the exit code is 2.`;

interface PredictFlags {
  readonly top: number;
  readonly batch: number;
  readonly checkpoint?: string;
  readonly tta?: boolean;
  readonly runDir: string;
  readonly json?: boolean;
}

export function predictCommand(environment: NetworkEnvironment): Command {
  return commandOnRun('predict', 'Classifies images with the network of a run.')
    .argument('<image...>', 'image files, folders of them, and packed images')
    .option('--top <K>', 'how many classes to name for each image', wholeNumber(1, 1000), 3)
    .option('--batch <N>', 'images that go through the network together', wholeNumber(1, 1024), 32)
    .addOption(checkpointOption())
    .addOption(ttaOption())
    .addOption(runDirOption())
    .option('--json', 'one JSON object per line: a prediction or an unreadable file each, at last a summary')
    .addHelpText('after', examples)
    .action(async (run: string, images: string[], flags: PredictFlags) =>
      environment.exit(await predict(run, images, flags, environment)),
    );
}

/** Throws not-found when there is no such run, no checkpoint or no image. Returns the exit code. */
async function predict(
  run: string,
  images: readonly string[],
  { top, batch, checkpoint: wanted, tta = false, runDir, json }: PredictFlags,
  { output, openLifecycle }: NetworkEnvironment,
): Promise<number> {
  const directory = findRunDirectory(run, runDir);
  const { config } = readRunRecord(directory);
  const lifecycle = openLifecycle();
  const progress = openWorkProgress('predicting', process.stderr);
  try {
    const checkpoint = await chooseCheckpoint(directory, wanted);
    const skipped = describeSkipped(checkpoint);
    if (skipped !== null) writeLines(process.stderr, [`warning: ${skipped}`]);
    const { files, packs, broken, remarks } = await listImages(images, lifecycle.signal);
    for (const { level, ...remark } of remarks) {
      if (json) writeLines(output, [printableJson({ kind: level, ...remark })]);
      else writeLines(process.stderr, [remark.text]);
    }
    const results: (Prediction | UnreadableImage)[] = [];
    const tell = (result: Prediction | UnreadableImage) => {
      results.push(result);
      if (json) writeLines(output, [printableJson(result)]);
    };
    const seconds = await predictImages({
      ...{ config, files, packs, top, batch, tta, signal: lifecycle.signal, state: checkpoint.state },
      ...{
        onResult: tell,
        onProgress: progress.report,
        runJob: (request, options) => runWorkerJob(predictJob, request, options),
      },
    });
    for (const fault of broken) tell({ kind: 'unreadable', ...fault });
    progress.close();

    const predicted = results.filter(({ kind }) => kind === 'prediction').length;
    const unreadable = results.length - predicted;
    const imagesPerSecond = predicted / seconds;
    const { name, skippedSteps } = checkpoint;
    const figures = { predicted, unreadable, checkpoint: name, skippedSteps, tta, seconds, imagesPerSecond };
    const lines = json
      ? [printableJson({ kind: 'summary', ...figures })]
      : [...renderPredictions(results), '', describeSummary(figures)];
    writeLines(output, lines);
    return predicted > 0 ? 0 : nothingReadExitCode;
  } finally {
    progress.close();
    lifecycle.close();
  }
}

function describeSummary(o: {
  predicted: number;
  unreadable: number;
  checkpoint: string;
  seconds: number;
  imagesPerSecond: number;
}): string {
  const left = o.unreadable > 0 ? `, ${formatCount(o.unreadable, 'file')} unreadable` : '';
  const speed = o.predicted > 0 ? `, ${o.imagesPerSecond.toFixed(1)} images/s` : '';
  return `${formatCount(o.predicted, 'image')} classified with ${o.checkpoint}${left}${speed}`;
}
