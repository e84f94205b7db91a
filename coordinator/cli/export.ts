import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { type ExportFormat, exportFormats, exportJob } from '../../proto/jobs.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { chooseCheckpoint, describeSkipped } from '../checkpoints/choose-checkpoint.js';
import { exportRun } from '../inference/export-run.js';
import { runWorkerJob } from '../launch/run-job.js';
import { findRunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { openWorkProgress } from '../terminal/work-progress.js';
import { checkpointOption, commandOnRun, runDirOption } from './command-options.js';
import type { NetworkEnvironment } from './predict.js';

const examples = `
Examples:
  coordinator export first-try --format saved-model
      runs/first-try/export/saved-model: for TensorFlow, TensorFlow Serving and tfjs-node; takes pixels or JPEG files
  coordinator export first-try --format safetensors --out cats-and-dogs
      for torchvision's network of the same architecture, and for \`coordinator start --pretrained\`

Both come with classes.json and a model card, README.md, that tells data, recipe, results, digests and how to load it.`;

interface ExportFlags {
  readonly format: ExportFormat;
  readonly out?: string;
  readonly checkpoint?: string;
  readonly runDir: string;
  readonly json?: boolean;
}

export function exportCommand(environment: NetworkEnvironment): Command {
  const format = new Option('--format <FORMAT>', 'what to write').choices(exportFormats);
  return commandOnRun('export', 'Writes the network of a run to a folder, for other programs.')
    .addOption(format.makeOptionMandatory())
    .option('--out <DIR>', 'a new or empty folder (default: export/FORMAT in the folder of the run)')
    .addOption(checkpointOption())
    .addOption(runDirOption())
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(async (run: string, flags: ExportFlags) => {
      await runExport(run, flags, environment);
      environment.exit(0);
    });
}

/** Throws not-found when there is no such run or checkpoint, failed-precondition when the folder is taken. */
async function runExport(
  run: string,
  { format, out, checkpoint: wanted, runDir, json }: ExportFlags,
  { output, openLifecycle }: NetworkEnvironment,
): Promise<void> {
  const directory = findRunDirectory(run, runDir);
  const record = readRunRecord(directory);
  const lifecycle = openLifecycle();
  const progress = openWorkProgress('exporting', process.stderr, { subject: 'tensors' });
  try {
    const checkpoint = await chooseCheckpoint(directory, wanted);
    const skipped = describeSkipped(checkpoint);
    if (skipped !== null) writeLines(process.stderr, [`warning: ${skipped}`]);
    const exported = await exportRun({
      ...{
        record,
        checkpoint,
        format,
        signal: lifecycle.signal,
        runJob: (request, options) => runWorkerJob(exportJob, request, options),
      },
      onProgress: progress.report,
      out: out ?? join(directory.path, 'export', format),
    });
    progress.close();
    const text = json
      ? printableJson({ kind: 'export', format, checkpoint: checkpoint.name, ...exported })
      : `${checkpoint.name} in ${exported.directory}: ${exported.file} (${(exported.bytes / 1e6).toFixed(1)} MB), classes.json, README.md`;
    writeLines(output, [text]);
  } finally {
    progress.close();
    lifecycle.close();
  }
}
